// Usage: node validate.mjs FILE...   prints one JSON object: file -> the Khronos validator's issues
import { readFile } from 'node:fs/promises';
import { validator } from './modules.mjs';

const report = {};
for (const file of process.argv.slice(2)) {
  const result = await validator().validateBytes(new Uint8Array(await readFile(file)));
  report[file] = result.issues;
}
console.log(JSON.stringify(report));
