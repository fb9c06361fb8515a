// Zips as other programs make them: by Python's own zipfile.
import { execFileSync } from 'node:child_process';

const script = `
import base64, io, json, sys, zipfile
task = json.load(sys.stdin)
out = io.BytesIO()
with zipfile.ZipFile(out, "w") as archive:
    for name, content in task["files"]:
        info = zipfile.ZipInfo(name, (2024, 2, 29, 12, 0, 0))
        info.compress_type = getattr(zipfile, "ZIP_" + task["method"])
        with archive.open(info, "w", force_zip64=task["zip64"]) as entry:
            entry.write(base64.b64decode(content))
    archive.comment = task["comment"].encode()
sys.stdout.buffer.write(out.getvalue())`;

/** The bytes of a zip. `method`: STORED, DEFLATED, BZIP2, LZMA. A name that ends with a slash is a folder. */
export function zipOf(files, { method = 'STORED', zip64 = false, comment = '' } = {}) {
  const rows = files.map(([name, bytes]) => [name, Buffer.from(bytes).toString('base64')]);
  return execFileSync('python3', ['-c', script], { input: JSON.stringify({ files: rows, method, zip64, comment }), maxBuffer: 2 ** 28 });
}
