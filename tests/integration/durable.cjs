// Makes Azurite keep the promise that Azure Storage makes: what it has answered survives its death.
// Azurite itself saves every five seconds, so a SIGKILL takes back writes that were acknowledged, and tears its tables
// from its blobs. Here the answer to a write waits until one consistent snapshot of all of its databases is on disk.
const { rename, writeFile } = require("fs/promises");
const { ServerResponse } = require("http");
const Loki = require("module").createRequire(process.argv[1])("lokijs");

const databases = new Set();
Loki.prototype.autosaveEnable = function () {
  databases.add(this);
};

let last = Promise.resolve();
let next = null;

function saved() {
  next ??= last.then(() => new Promise(setImmediate)).then(() => {
    [last, next] = [next, null];
    const texts = [];
    for (const database of databases) {
      if (database.autosaveDirty()) {
        texts.push([database.filename, database.serialize()]);
        database.autosaveClearFlags();
      }
    }
    // The bytes come first, then the names that point to them.
    texts.sort(([one], [other]) => other.includes("extent") - one.includes("extent"));
    return texts.reduce(
      (before, [name, text]) => before.then(() => writeFile(`${name}.new`, text)).then(() => rename(`${name}.new`, name)),
      Promise.resolve(),
    );
  });
  return next;
}

const { end, write } = ServerResponse.prototype;
ServerResponse.prototype.write = function (...chunk) {
  if (["GET", "HEAD"].includes(this.req.method)) return write.apply(this, chunk);
  (this.held ??= []).push(chunk);
  return true;
};
ServerResponse.prototype.end = function (...chunk) {
  if (["GET", "HEAD"].includes(this.req.method)) return end.apply(this, chunk);
  saved().then(() => {
    for (const held of this.held ?? []) write.apply(this, held);
    end.apply(this, chunk);
  });
  return this;
};
