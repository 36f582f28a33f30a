// Usage: node three_joints.mjs FILE CLIP TIMES VERTICES
// three.js plays a clip at each time (JSON list, seconds) and prints, as JSON, for every skinned
// mesh: its bones' names, their world positions, and the world positions of some mesh vertices.
import { readFile } from 'node:fs/promises';
import { THREE, loadGlb } from './modules.mjs';

const [file, clipName, timesText, verticesText] = process.argv.slice(2);
const { scene, animations } = await loadGlb(await readFile(file));
const clip = animations.find((one) => one.name === clipName);
if (!clip) throw new Error(`no clip ${clipName} among ${animations.map((one) => one.name)}`);
const mixer = new THREE.AnimationMixer(scene);
const action = mixer.clipAction(clip);
action.setLoop(THREE.LoopOnce);
action.clampWhenFinished = true;
action.play();

const meshes = [];
scene.traverse((node) => node.isSkinnedMesh && meshes.push(node));
const people = meshes.map((mesh) => ({
  mesh: mesh.name, bones: mesh.skeleton.bones.map((bone) => bone.name), joints: [], vertices: [],
}));
for (const time of JSON.parse(timesText)) {
  mixer.setTime(time);
  scene.updateMatrixWorld(true);
  meshes.forEach((mesh, k) => {
    mesh.skeleton.update();
    const at = (bone) => bone.getWorldPosition(new THREE.Vector3()).toArray();
    people[k].joints.push(mesh.skeleton.bones.map(at));
    people[k].vertices.push(JSON.parse(verticesText).map((number) =>
      mesh.localToWorld(mesh.getVertexPosition(number, new THREE.Vector3())).toArray()));
  });
}
console.log(JSON.stringify({ clips: animations.map((one) => one.name), duration: clip.duration, people }));
