// Draws the people of the page's data beside its footage; all views follow the footage's clock.
const byId = (id) => document.getElementById(id);
const data = JSON.parse(byId("data").textContent);
const video = byId("video"), scrub = byId("scrub"), plots = byId("plots");
const COLOURS = [0xffbe96, 0x96c8ff, 0xb4eb96, 0xf0aff0, 0xffe68c];

function unpack(text, Kind) {
  const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  return new Kind(bytes.buffer);
}

// One motion as a skinned mesh; pose(k) puts it into key k.
function character(person, number) {
  const rest = unpack(person.rest, Float32Array);
  const turns = unpack(person.turns, Int16Array), root = unpack(person.root, Float32Array);
  const times = unpack(person.times, Float64Array), seen = unpack(person.observed, Uint8Array);
  const bones = person.parents.map(() => new THREE.Bone());
  person.parents.forEach((parent, j) => {
    const at = [0, 1, 2].map((c) => rest[3 * j + c] - (parent >= 0 ? rest[3 * parent + c] : 0));
    bones[j].position.set(...at);
    if (parent >= 0) bones[parent].add(bones[j]);
  });
  const shape = new THREE.BufferGeometry();
  const put = (name, array, size, unit) => shape.setAttribute(name, new THREE.BufferAttribute(array, size, unit));
  put("position", unpack(person.positions, Float32Array), 3, false);
  put("normal", unpack(person.normals, Int8Array), 3, true);
  put("skinIndex", unpack(person.joints, Uint16Array), 4, false);
  put("skinWeight", unpack(person.weights, Float32Array), 4, false);
  shape.setIndex(new THREE.BufferAttribute(unpack(person.triangles, Uint32Array), 1));
  const material = new THREE.MeshStandardMaterial({ color: COLOURS[number % COLOURS.length], roughness: 0.8 });
  const colour = material.color.clone();
  const mesh = new THREE.SkinnedMesh(shape, material);
  mesh.frustumCulled = false;
  mesh.add(bones[0]);
  mesh.updateMatrixWorld(true);
  mesh.bind(new THREE.Skeleton(bones));
  const pose = (k) => {
    bones.forEach((bone, j) => {
      const q = 4 * (k * bones.length + j);
      bone.quaternion.set(turns[q + 1], turns[q + 2], turns[q + 3], turns[q]).normalize();
    });
    bones[0].position.set(root[3 * k], root[3 * k + 1], root[3 * k + 2]);
    material.color.copy(colour).multiplyScalar(seen[k] ? 1 : 0.45);
  };
  const camera = { turns: unpack(person.camera.turns, Float32Array), places: unpack(person.camera.places, Float32Array) };
  return { person, mesh, times, root, camera, pose };
}

// Last key at or before a time.
function keyAt(times, time) {
  let low = 0, high = times.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (times[middle] <= time + 1e-4) low = middle; else high = middle - 1;
  }
  return low;
}

const scene = new THREE.Scene();
scene.background = new THREE.Color(0x23262c);
scene.add(new THREE.HemisphereLight(0xffffff, 0x505860, 2.2));
const sun = new THREE.DirectionalLight(0xffffff, 1.6);
sun.position.set(2, 5, 3);
scene.add(sun);
const cast = data.people.map(character);
cast.forEach((one) => scene.add(one.mesh));
const bounds = [[Infinity, Infinity, Infinity], [-Infinity, -Infinity, -Infinity]];
for (const one of cast) {
  for (let i = 0; i < one.root.length; i++) {
    bounds[0][i % 3] = Math.min(bounds[0][i % 3], one.root[i]);
    bounds[1][i % 3] = Math.max(bounds[1][i % 3], one.root[i]);
  }
}
const grounded = cast.some((one) => Object.keys(one.person.contacts).length > 0);
const middle = [0, 1, 2].map((c) => (bounds[0][c] + bounds[1][c]) / 2);
const reach = Math.max(...[0, 1, 2].map((c) => bounds[1][c] - bounds[0][c])) / 2 + 1.3;
const grid = new THREE.GridHelper(2 * Math.ceil(reach + 1), 2 * Math.ceil(reach + 1), 0x7a8494, 0x444b57);
grid.position.set(Math.round(middle[0]), grounded ? 0 : bounds[0][1] - 1, Math.round(middle[2]));
scene.add(grid);

// Three canvases share one renderer: each picture is drawn and copied.
const renderer = new THREE.WebGLRenderer({ antialias: true, preserveDrawingBuffer: true });
const lens = data.people[0].camera;
if (lens.aspect < 1) document.querySelector(".pair").classList.add("upright");
const WIDE = 640, TALL = Math.round(WIDE / lens.aspect);
renderer.setSize(WIDE, TALL, false);
const front = new THREE.PerspectiveCamera((2 * Math.atan(0.5 / lens.focal) * 180) / Math.PI, lens.aspect, 0.05, 200);
front.setViewOffset(WIDE, TALL, -lens.middle[0] * WIDE, -lens.middle[1] * TALL, WIDE, TALL);
const flat = () => {
  const half = Math.max(reach, reach / lens.aspect);
  return new THREE.OrthographicCamera(-half * lens.aspect, half * lens.aspect, half, -half, 0.01, 200);
};
const side = flat(), top = flat();
side.position.set(middle[0] + 50, middle[1], middle[2]);
side.lookAt(...middle);
top.position.set(middle[0], middle[1] + 50, middle[2]);
top.up.set(0, 0, -1);
top.lookAt(...middle);
const views = [["front", front], ["side", side], ["top", top]].map(([id, camera]) => {
  const canvas = byId(id);
  canvas.width = WIDE;
  canvas.height = TALL;
  return { camera, pen: canvas.getContext("2d") };
});

let chosen = 0;
function draw() {
  const time = video.currentTime;
  cast.forEach((one, i) => {
    const last = one.times[one.times.length - 1];
    one.mesh.visible = time >= one.times[0] - 0.02 && time <= last + 0.1;
    const key = keyAt(one.times, time);
    one.pose(key);
    if (i === chosen) {
      const { turns, places } = one.camera;
      const c = turns.length > 4 ? key : 0;
      front.position.set(places[3 * c], places[3 * c + 1], places[3 * c + 2]);
      front.quaternion.set(turns[4 * c + 1], turns[4 * c + 2], turns[4 * c + 3], turns[4 * c]);
    }
  });
  for (const { camera, pen } of views) {
    renderer.render(scene, camera);
    pen.drawImage(renderer.domElement, 0, 0);
  }
  scrub.value = time;
  byId("clock").textContent = (time + data.start_s).toFixed(2) + " s";
  plot();
}

function plot() {
  const one = cast[chosen], length = video.duration || 1;
  const rows = Object.entries(one.person.series), parts = Object.entries(one.person.contacts);
  const tall = 70 * rows.length + 16 * parts.length + 10;
  plots.width = 1370;
  plots.height = tall;
  const pen = plots.getContext("2d"), x = (time) => 150 + (time / length) * 1210;
  pen.font = "12px sans-serif";
  rows.forEach(([name, values], r) => {
    const known = values.filter((v) => v !== null);
    const most = Math.max(1e-6, ...known.map(Math.abs)), y = (v) => 70 * r + 62 - (Math.max(0, v) / most) * 52;
    pen.fillStyle = "#9aa4b2";
    pen.fillText(name, 4, 70 * r + 30);
    pen.fillText("at most " + most.toPrecision(3), 4, 70 * r + 46);
    pen.strokeStyle = "#96c8ff";
    pen.beginPath();
    values.forEach((v, k) => {
      if (v === null) return;
      const joined = k > 0 && values[k - 1] !== null;
      pen[joined ? "lineTo" : "moveTo"](x(one.times[k]), y(v));
    });
    pen.stroke();
  });
  parts.forEach(([part, spans], p) => {
    const y = 70 * rows.length + 16 * p;
    pen.fillStyle = "#9aa4b2";
    pen.fillText(part.replace("_", " "), 4, y + 12);
    pen.fillStyle = "#b4eb96";
    spans.forEach(([a, b]) => pen.fillRect(x(a), y + 3, Math.max(1, x(b) - x(a)), 10));
  });
  pen.fillStyle = "#ff6a4d";
  pen.fillRect(x(video.currentTime), 0, 1.5, tall);
}

function jump(time) {
  video.pause();
  video.currentTime = Math.min(Math.max(time, 0), video.duration || 0);
}

function line(text, time) {
  const button = document.createElement("button");
  button.textContent = text;
  if (time !== null) button.onclick = () => jump(time);
  else button.disabled = true;
  byId("words").append(button);
}

function choose(number) {
  chosen = number;
  const { card } = cast[number].person;
  byId("words").replaceChildren();
  for (const text of card.words || []) {
    const found = /(?:between|at) ([\d.]+)/.exec(text);
    line(text, found ? Number(found[1]) - data.start_s : null);
  }
  for (const bad of card.worst || []) {
    line(`${bad.time_s.toFixed(2)} s, frame ${bad.frame}: ${bad.what} ${bad.value}`, bad.time_s - data.start_s + 1e-3);
  }
  byId("numbers").replaceChildren();
  for (const [name, value] of Object.entries(card.numbers || {})) {
    const row = byId("numbers").insertRow();
    row.insertCell().textContent = name;
    row.insertCell().textContent = Number(value.toPrecision(4));
  }
  draw();
}

byId("title").textContent = data.name;
cast.forEach((one, i) => byId("people").add(new Option(`person ${one.person.person} (${one.person.name})`, i)));
byId("people").onchange = (event) => choose(Number(event.target.value));
byId("play").onclick = () => (video.paused ? video.play() : video.pause());
video.onplay = video.onpause = () => { byId("play").textContent = video.paused ? "play" : "pause"; };
scrub.oninput = () => jump(Number(scrub.value));
plots.onclick = (event) => {
  const box = plots.getBoundingClientRect();
  jump((((event.clientX - box.left) / box.width) * plots.width - 150) / 1210 * video.duration);
};
video.onseeked = draw;
const ready = () => { scrub.max = video.duration; choose(0); document.body.dataset.ready = "yes"; };
if (video.readyState >= 2) ready(); else video.addEventListener("loadeddata", ready, { once: true });
video.onerror = () => console.error("The footage cannot be shown.");
(function turn() {
  if (!video.paused) draw();
  requestAnimationFrame(turn);
})();
