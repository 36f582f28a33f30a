// Packages from the folder that STAF_NODE_MODULES names, or from node_modules beside this file.
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const here = path.dirname(fileURLToPath(import.meta.url));
const folder = process.env.STAF_NODE_MODULES ?? path.join(here, 'node_modules');
const require = createRequire(pathToFileURL(path.join(folder, '..', 'anchor.cjs')));

export const validator = () => require(path.join(folder, 'gltf-validator'));
export const THREE = await import(
  pathToFileURL(path.join(folder, 'three', 'build', 'three.module.js'))
);

export const vrmAnimation = () => inFolder('@pixiv/three-vrm-animation/lib/three-vrm-animation.module.js');
export const vrmCore = () => inFolder('@pixiv/three-vrm-core/lib/three-vrm-core.module.js');

function inFolder(file) {
  return import(pathToFileURL(path.join(folder, file)));
}

// GLTFLoader imports 'three' by its bare name, which resolves inside `folder` by itself.
export async function loadGlb(bytes, ...plugins) {
  globalThis.self = globalThis;
  const { GLTFLoader } = await import(
    pathToFileURL(path.join(folder, 'three', 'examples', 'jsm', 'loaders', 'GLTFLoader.js'))
  );
  const buffer = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength);
  const loader = new GLTFLoader();
  plugins.forEach((plugin) => loader.register(plugin));
  return new Promise((resolve, reject) => loader.parse(buffer, '', resolve, reject));
}
