// The JavaScript server SDK asks for flags. NODE_PATH is the folder of its packages.
//
//   node ofrep.cjs URL TOKEN [[TYPE, KEY, DEFAULT, CONTEXT], ...]
//
// prints a list of what the SDK made of each, in order.
"use strict";

const { OpenFeature } = require("@openfeature/server-sdk");
const { OFREPProvider } = require("@openfeature/ofrep-provider");

async function main(baseUrl, token, asked) {
  const provider = new OFREPProvider({ baseUrl, headers: [["Authorization", `Bearer ${token}`]] });
  await OpenFeature.setProviderAndWait(provider);
  OpenFeature.setLogger({ error() {}, warn() {}, info() {}, debug() {} });
  const client = OpenFeature.getClient();
  const types = {
    boolean: client.getBooleanDetails,
    string: client.getStringDetails,
    integer: client.getNumberDetails,
    float: client.getNumberDetails,
    object: client.getObjectDetails,
  };
  const found = [];
  for (const [type, key, fallback, context] of JSON.parse(asked)) {
    found.push(await types[type].call(client, key, fallback, context));
  }
  console.log(JSON.stringify(found));
}

main(...process.argv.slice(2));
