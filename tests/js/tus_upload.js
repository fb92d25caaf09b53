// A foreign tus client: `node tus_upload.js URL FILE BUNDLE_ID`; the token is in PRAXIS_TOKEN.
import { createReadStream, statSync } from "node:fs";
import { Upload } from "tus-js-client";

const [url, path, bundle_id] = process.argv.slice(2);
const upload = new Upload(createReadStream(path), {
  endpoint: url,
  chunkSize: 700_000,
  uploadSize: statSync(path).size,
  uploadDataDuringCreation: true,
  metadata: { bundle_id },
  headers: { Authorization: `Bearer ${process.env.PRAXIS_TOKEN}` },
  onError(error) {
    console.error(String(error));
    process.exit(1);
  },
});
upload.start();
