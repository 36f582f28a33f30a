// Usage: node vrma_joints.mjs FILE TIMES GROWTH
// @pixiv/three-vrm-animation plays a .vrma on a VRM humanoid that is GROWTH times as large as the
// file's own skeleton, at each time (JSON list, seconds), and prints, as JSON, the world positions
// of the character's bones by their humanoid names.
import { readFile } from 'node:fs/promises';
import { THREE, loadGlb, vrmAnimation, vrmCore } from './modules.mjs';

const [file, timesText, growthText] = process.argv.slice(2);
const { VRMAnimationLoaderPlugin, createVRMAnimationClip } = await vrmAnimation();
const { VRMHumanoid } = await vrmCore();
const gltf = await loadGlb(await readFile(file), (parser) => new VRMAnimationLoaderPlugin(parser));
const [animation] = gltf.userData.vrmAnimations;
const bones = gltf.parser.json.extensions.VRMC_vrm_animation.humanoid.humanBones;
const humanBones = {};
for (const [name, { node }] of Object.entries(bones)) {
  humanBones[name] = { node: await gltf.parser.getDependency('node', node) };
  humanBones[name].node.position.multiplyScalar(Number(growthText));
}
gltf.scene.updateMatrixWorld(true);
const humanoid = new VRMHumanoid(humanBones, { autoUpdateHumanBones: true });
gltf.scene.add(humanoid.normalizedHumanBonesRoot);
const clip = createVRMAnimationClip(animation, { scene: gltf.scene, humanoid, meta: { metaVersion: '1' } });
const mixer = new THREE.AnimationMixer(gltf.scene);
const action = mixer.clipAction(clip);
action.setLoop(THREE.LoopOnce);
action.clampWhenFinished = true;
action.play();

const joints = {};
for (const name of Object.keys(bones)) joints[name] = [];
for (const time of JSON.parse(timesText)) {
  mixer.setTime(time);
  humanoid.update();
  gltf.scene.updateMatrixWorld(true);
  for (const name of Object.keys(bones)) {
    const bone = humanoid.getRawBoneNode(name);
    joints[name].push(bone.getWorldPosition(new THREE.Vector3()).toArray());
  }
}
console.log(JSON.stringify({ duration: clip.duration, joints }));
