// Node's HTTP clients, told what to do by lines of JSON on standard input; each answer is a line of JSON.
// Arguments: the base of all addresses, and which client: "fetch" or "http".

import http from "node:http";
import readline from "node:readline";

const [base, kind] = process.argv.slice(2);
const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
const block = Buffer.from(Array.from({ length: 65536 }, (_, index) => index % 256));
const jar = new Map();

async function* repeated(blocks) {
  for (let index = 0; index < blocks; index++) yield block;
}

// fetch keeps no cookies, so redirects are followed here: what a browser's jar would do for one site.
async function byFetch(task) {
  let url = base + task.path;
  let options = { method: task.method, redirect: "manual", headers: { ...task.fields } };
  if (task.form) {
    options.body = new FormData();
    const file = new Blob([Buffer.from(task.body, "hex")], { type: task.form.content_type });
    options.body.append(task.form.name, file, task.form.filename);
  } else if (task.blocks) {
    options.body = ReadableStream.from(repeated(task.blocks));
    options.duplex = "half";
  } else if (task.body !== null && task.body !== undefined) {
    options.body = Buffer.from(task.body, "hex");
  }
  for (let hops = 0; hops <= 10; hops++) {
    if (jar.size) options.headers.cookie = [...jar].map(([name, value]) => `${name}=${value}`).join("; ");
    const response = await fetch(url, options);
    for (const line of response.headers.getSetCookie()) {
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(line);
      jar.set(name, value);
    }
    const body = Buffer.from(await response.arrayBuffer());
    if (response.status < 300 || response.status === 304 || response.status >= 400)
      return { status: response.status, fields: [...response.headers], body: body.toString("hex") };
    url = new URL(response.headers.get("location"), url).href;
    if (response.status === 303) options = { method: "GET", redirect: "manual", headers: {} };
  }
  throw new Error("too many redirects");
}

async function byHttp(task) {
  const body = task.body === null || task.body === undefined ? null : Buffer.from(task.body, "hex");
  const fields = { ...task.fields };
  let parts = body === null ? [] : [body];
  if (task.form) {
    const { name, filename, content_type } = task.form;
    fields["Content-Type"] = "multipart/form-data; boundary=bound";
    parts = [
      `--bound\r\nContent-Disposition: form-data; name="${name}"; filename="${filename}"\r\n`,
      `Content-Type: ${content_type}\r\n\r\n`, body, "\r\n--bound--\r\n",
    ];
  } else if (body !== null) {
    fields["Content-Length"] = body.length;
  }
  return new Promise((resolve, reject) => {
    const request = http.request(base + task.path, { method: task.method, headers: fields, agent }, (response) => {
      const came = [];
      response.on("data", (data) => came.push(data));
      response.on("error", reject);
      response.on("end", () => {
        const pairs = [];
        for (let index = 0; index < response.rawHeaders.length; index += 2)
          pairs.push([response.rawHeaders[index], response.rawHeaders[index + 1]]);
        resolve({ status: response.statusCode, fields: pairs, body: Buffer.concat(came).toString("hex") });
      });
    });
    request.on("error", reject);
    for (const part of parts) request.write(part);
    for (let index = 0; index < (task.blocks ?? 0); index++) request.write(block);
    request.end();
  });
}

for await (const line of readline.createInterface({ input: process.stdin })) {
  let answer;
  try {
    answer = await (kind === "fetch" ? byFetch : byHttp)(JSON.parse(line));
  } catch (error) {
    answer = { error: `${error} ${error.cause ?? ""}` };
  }
  console.log(JSON.stringify(answer));
}
agent.destroy();
process.exit(0);
