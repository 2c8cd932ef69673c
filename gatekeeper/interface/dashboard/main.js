// The page: where it is, who looks, and drawing it again whenever something is new.

import { Refused, hush } from "./api.js";
import { Facts, where } from "./facts.js";
import { Live } from "./live.js";
import { Charts } from "./parts/charts.js";
import { frame, notices, Speaker } from "./parts/frame.js";
import { session } from "./session.js";
import { h, morph } from "./text.js";
import { documents, history } from "./views/history.js";
import { flags } from "./views/flags.js";
import { release } from "./views/release.js";
import { service } from "./views/service.js";
import { services } from "./views/services.js";
import { signin } from "./views/signin.js";

const main = document.getElementById("main");
const page = { why: "", standing: "opening", trouble: null, asked: false };
const facts = new Facts(draw, failed);
const charts = new Charts(facts, draw);
const speaker = new Speaker(document.getElementById("said"));
const live = new Live({ told, standing, allowed });
let waiting = false;

/** Where the address leads: a view, its service, the documents it needs. */
function route() {
  const parts = location.hash.replace(/^#\/?/, "").split("/").map(decoded);
  const [first, name, what, id] = parts;
  if (first === "flags") return { key: "flags", view: flags, title: "Flags", documents: { status: where.status, flags: where.flags } };
  if (first !== "services" || !name) return { key: "services", view: services, title: "Services", documents: { status: where.status } };
  const needed = { status: where.status, service: where.service(name), release: where.last(name) };
  if (what === "releases" && id) {
    return { key: `${name}/${id}`, view: release, name, title: `Release ${id} of ${name}`, documents: { ...needed, release: where.release(name, id) } };
  }
  if (what === "history") {
    return { key: `${name}/history`, view: history, name, title: `History of ${name}`, documents: { ...needed, ...documents(name), releases: where.releases(name) } };
  }
  return { key: name, view: service, name, title: name, documents: { ...needed, shadow: where.shadow(name) } };
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

let at = null;

/** Go where the address says. */
function go() {
  const next = route();
  const moved = at !== null && at.key !== next.key;
  at = next;
  document.title = `${at.title} · Gatekeeper`;
  if (session.who === null) return draw();
  if (moved) {
    charts.drop();
    scrollTo(0, 0);
    main.focus({ preventScroll: true });
  }
  facts.want(at.documents);
  live.open(at.name ?? null);
  return draw();
}

/** Draw soon, once for everything that is new until then. */
function draw() {
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(() => {
    waiting = false;
    paint();
  });
}

function paint() {
  frame(document.getElementById("top"), { facts, page, at, leave });
  notices(document.getElementById("notices"), { facts, page });
  if (session.who === null) {
    if (page.asked) morph(main, signin(entered, page.why));
    return;
  }
  morph(main, h("div", { class: "view", "data-key": at.key }, at.view({ facts, charts, again: draw })));
  if (at.view === service) charts.draw(main, at.name);
  speaker.look(facts, at.name);
}

// The session

async function allowed() {
  if (await session.look()) return true;
  out("Your session has ended. Sign in again to go on where you were.");
  return false;
}

function entered() {
  page.why = "";
  page.trouble = null;
  at = null;
  go();
}

function out(why) {
  live.close();
  facts.forget();
  charts.drop();
  speaker.forget();
  session.who = null;
  page.why = why;
  page.asked = true;
  draw();
}

async function leave() {
  live.close();
  hush();
  try {
    await session.leave();
  } catch (problem) {
    if (!(problem instanceof Refused)) throw problem;
  }
  out("");
}

function failed(problem) {
  if (problem.status === 401) out("Your session has ended. Sign in again to go on where you were.");
  else {
    page.trouble = problem.status === 0 ? null : problem.message; // the stream's standing tells of the other
    draw();
  }
}

// The stream

function told(kind, document_) {
  if (kind === "dropped") return live.lost();
  if (kind === "past") page.trouble = null;
  return facts.told(kind, document_);
}

function standing(state) {
  if (state === page.standing) return;
  page.standing = state;
  if (state === "live") facts.soon();
  draw();
}

async function begin() {
  try {
    await session.look();
    page.asked = true;
    go();
  } catch {
    page.standing = "lost";
    draw();
    setTimeout(begin, 2000);
  }
}

addEventListener("hashchange", go);
document.addEventListener("acted", () => facts.refresh());
document.getElementById("skip").onclick = () => main.focus();
begin();
