"use strict";
// Shows a photo's layers and moves the point of view with the mouse, a finger, the phone or the arrow keys.
// The hash may hold a view instead, as #x=0.5&y=-0.2 (each -1..1, right and down), which then stands still.
(() => {
  const element = (id) => document.getElementById(id);
  const root = document.documentElement;
  const canvas = element("view");
  const box = element("box");
  const facts = JSON.parse(element("facts").textContent);
  const NODES = 3, STEPS = NODES - 1, VERTICES = NODES * NODES, WORDS = 6, BYTES = 2 * WORDS;
  const WORD_MAX = 65535;
  const MOST_PATCHES = Math.floor(65536 / VERTICES); // in one call, with 16-bit indices

  const VERTEX_SHADER = `
    attribute vec3 place;   // column and row in half cells, inverse depth
    attribute vec2 texel;   // in the texture, in half texels
    attribute float behind; // what must lose against the same depth in front: 0.5 the back, 1 the backdrop
    uniform vec4 frame;     // half a cell in shares of the photo, and where the photo's corner lies
    uniform vec2 shift;     // how far the nearest moves against the still point, in shares of the photo
    uniform vec2 depth;     // largest inverse depth, inverse depth of the still point
    uniform vec2 size;      // half texels to texture coordinates
    varying vec2 at;
    void main() {
      float near = place.z / 65535.0, q = near * depth.x;
      vec2 p = place.xy * frame.xy - frame.zw - shift * (q - depth.y);
      gl_Position = vec4(2.0 * p.x - 1.0, 1.0 - 2.0 * p.y, 0.9 - 1.8 * near + 0.02 * behind, 1.0);
      at = texel * size;
    }`;
  const FRAGMENT_SHADER = `
    #ifdef GL_FRAGMENT_PRECISION_HIGH
    precision highp float;
    #else
    precision mediump float;
    #endif
    uniform sampler2D color, coverage;
    uniform vec2 spread;    // half a pixel's width in the texture, or 0 where texels are larger
    uniform float pass;     // 0: all of it; 1: what is opaque; 2: soft edges
    varying vec2 at;
    vec4 sampled(vec2 p) {
      return vec4(texture2D(color, p).rgb, pass == 0.0 ? 1.0 : texture2D(coverage, p).r);
    }
    vec4 averaged(vec2 p) {
      if (spread.x == 0.0) return sampled(p);
      vec2 a = spread * vec2(0.25, 0.75), b = spread * vec2(0.75, -0.25);
      vec4 s = sampled(p - a), t = sampled(p + a), u = sampled(p - b), v = sampled(p + b);
      float alpha = s.a + t.a + u.a + v.a;
      vec3 sum = s.rgb * s.a + t.rgb * t.a + u.rgb * u.a + v.rgb * v.a;
      return vec4(sum / max(alpha, 0.001), 0.25 * alpha);
    }
    void main() {
      vec4 c = averaged(at);
      if (pass == 1.0 && c.a < 0.996) discard;
      if (pass == 2.0 && (c.a >= 0.996 || c.a < 0.004)) discard;
      gl_FragColor = c;
    }`;

  let gl = null, scene = null;
  const target = { x: 0, y: 0 }, view = { x: 0, y: 0 };
  let fixed = false, touched = -Infinity, drawn = "", asked = 0, last = 0;
  const calm = window.matchMedia("(prefers-reduced-motion: reduce)");

  function fail(reason) {
    root.dataset.state = "error";
    element("message").textContent = reason;
    element("message").hidden = false;
    element("tilt").hidden = true;
  }

  // ---- What there is to draw ---------------------------------------------------------------------

  function numbers() {
    const text = atob(element("numbers").textContent.trim());
    const bytes = new Uint8Array(text.length);
    for (let i = 0; i < bytes.length; i++) bytes[i] = text.charCodeAt(i);
    const words = new Uint16Array(bytes.buffer);
    let start = 0;
    const take = (count) => words.subarray(start, (start += count));
    const { grid, backdrop, whole, patches } = facts;
    return {
      lattice: take((STEPS * grid.rows + 1) * (STEPS * grid.cols + 1)),
      backdrop: take((STEPS * backdrop.rows + 1) * (STEPS * backdrop.cols + 1)),
      whole: take(2 * whole),
      cells: take(2 * patches),
      ofBack: take(patches),
      depths: take(VERTICES * patches),
    };
  }

  function squares(count, fill) {
    const data = new Uint16Array(count * VERTICES * WORDS);
    let word = 0;
    for (let patch = 0; patch < count; patch++)
      for (let j = 0; j < NODES; j++)
        for (let i = 0; i < NODES; i++, word += WORDS) fill(data, word, patch, i, j);
    const buffer = gl.createBuffer();
    gl.bindBuffer(gl.ARRAY_BUFFER, buffer);
    gl.bufferData(gl.ARRAY_BUFFER, data, gl.STATIC_DRAW);
    return { buffer, count };
  }

  function ofLattice(lattice, cells, grid, behind) {
    const stride = STEPS * grid.cols + 1;
    return squares(cells.length / 2, (data, word, patch, i, j) => {
      const row = STEPS * cells[2 * patch] + j, col = STEPS * cells[2 * patch + 1] + i;
      data[word] = col;
      data[word + 1] = row;
      data[word + 2] = lattice[row * stride + col];
      data[word + 3] = col * grid.cell;
      data[word + 4] = row * grid.cell;
      data[word + 5] = behind * WORD_MAX;
    });
  }

  function texture(image) {
    if (Math.max(image.naturalWidth, image.naturalHeight) > gl.getParameter(gl.MAX_TEXTURE_SIZE)) throw new Error("its pictures are too large for this graphics hardware.");
    const made = gl.createTexture();
    gl.bindTexture(gl.TEXTURE_2D, made);
    gl.pixelStorei(gl.UNPACK_COLORSPACE_CONVERSION_WEBGL, gl.NONE);
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGB, gl.RGB, gl.UNSIGNED_BYTE, image);
    for (const side of [gl.TEXTURE_WRAP_S, gl.TEXTURE_WRAP_T]) gl.texParameteri(gl.TEXTURE_2D, side, gl.CLAMP_TO_EDGE);
    for (const filter of [gl.TEXTURE_MIN_FILTER, gl.TEXTURE_MAG_FILTER]) gl.texParameteri(gl.TEXTURE_2D, filter, gl.LINEAR);
    return { made, width: image.naturalWidth, height: image.naturalHeight };
  }

  function program() {
    const made = gl.createProgram();
    for (const [kind, text] of [[gl.VERTEX_SHADER, VERTEX_SHADER], [gl.FRAGMENT_SHADER, FRAGMENT_SHADER]]) {
      const shader = gl.createShader(kind);
      gl.shaderSource(shader, text);
      gl.compileShader(shader);
      if (!gl.getShaderParameter(shader, gl.COMPILE_STATUS) && !gl.isContextLost()) throw new Error(gl.getShaderInfoLog(shader));
      gl.attachShader(made, shader);
    }
    ["place", "texel", "behind"].forEach((name, index) => gl.bindAttribLocation(made, index, name));
    gl.linkProgram(made);
    if (!gl.getProgramParameter(made, gl.LINK_STATUS) && !gl.isContextLost()) throw new Error(gl.getProgramInfoLog(made));
    gl.useProgram(made);
    const at = {};
    for (const name of ["frame", "shift", "depth", "size", "color", "coverage", "spread", "pass"]) at[name] = gl.getUniformLocation(made, name);
    return at;
  }

  function build() {
    const { grid, backdrop, patches, tiles } = facts;
    const read = numbers();
    const uniform = program();
    const everywhere = new Uint16Array(2 * backdrop.rows * backdrop.cols);
    for (let cell = 0; cell < everywhere.length / 2; cell++) {
      everywhere[2 * cell] = Math.floor(cell / backdrop.cols);
      everywhere[2 * cell + 1] = cell % backdrop.cols;
    }
    const inner = tiles.side - 2 * tiles.gutter;
    const edges = squares(patches, (data, word, patch, i, j) => {
      data[word] = STEPS * read.cells[2 * patch + 1] + i;
      data[word + 1] = STEPS * read.cells[2 * patch] + j;
      data[word + 2] = read.depths[VERTICES * patch + NODES * j + i];
      data[word + 3] = 2 * ((patch % tiles.columns) * tiles.side + tiles.gutter) + i * inner;
      data[word + 4] = 2 * (Math.floor(patch / tiles.columns) * tiles.side + tiles.gutter) + j * inner;
      data[word + 5] = read.ofBack[patch] * (WORD_MAX >> 1);
    });
    const indices = new Uint16Array(MOST_PATCHES * 6 * STEPS * STEPS);
    let index = 0;
    for (let patch = 0; patch < MOST_PATCHES; patch++)
      for (let j = 0; j < STEPS; j++)
        for (let i = 0; i < STEPS; i++) {
          const a = VERTICES * patch + NODES * j + i, b = a + 1, c = a + NODES, d = c + 1;
          // Diagonals meet in the middle, so that a patch bends alike in all directions.
          indices.set(i === j ? [a, c, d, a, d, b] : [a, c, b, b, c, d], index);
          index += 6;
        }
    gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, gl.createBuffer());
    gl.bufferData(gl.ELEMENT_ARRAY_BUFFER, indices, gl.STATIC_DRAW);
    gl.enableVertexAttribArray(0);
    gl.enableVertexAttribArray(1);
    gl.enableVertexAttribArray(2);
    gl.clearColor(0.067, 0.067, 0.067, 1);
    gl.enable(gl.DEPTH_TEST);
    gl.depthFunc(gl.LEQUAL);
    gl.blendFunc(gl.SRC_ALPHA, gl.ONE_MINUS_SRC_ALPHA);
    return {
      uniform, edges,
      whole: ofLattice(read.lattice, read.whole, grid, 0),
      backdrop: ofLattice(read.backdrop, everywhere, backdrop, 1),
      photo: texture(element("photo")),
      tiles: texture(element("tiles")),
      coverage: texture(element("coverage")),
      farthest: texture(element("backdrop")),
    };
  }

  // ---- Drawing -----------------------------------------------------------------------------------

  function draw() {
    const { uniform } = scene, { width, height, margin, grid, backdrop } = facts;
    gl.viewport(0, 0, canvas.width, canvas.height);
    gl.depthMask(true);
    gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
    gl.uniform2f(uniform.shift, view.x * facts.shift / width, view.y * facts.shift / height);
    gl.uniform2f(uniform.depth, facts.largest, facts.still);
    gl.uniform1i(uniform.color, 0);
    gl.uniform1i(uniform.coverage, 1);
    const put = (squares, image, cells, pass) => {
      const half = cells.side / 2, pixels = cells.side / cells.cell;
      // Texels that a pixel of the canvas spans; below one there is nothing to average.
      const dense = width / canvas.width / pixels;
      gl.activeTexture(gl.TEXTURE0);
      gl.bindTexture(gl.TEXTURE_2D, image.made);
      gl.uniform4f(uniform.frame, half / width, half / height, margin / width, margin / height);
      gl.uniform2f(uniform.size, WORD_MAX / (2 * image.width), WORD_MAX / (2 * image.height));
      gl.uniform2f(uniform.spread, dense > 1.1 ? 0.5 * Math.min(dense, 3) / image.width : 0, dense > 1.1 ? 0.5 * Math.min(dense, 3) / image.height : 0);
      gl.uniform1f(uniform.pass, pass);
      gl.bindBuffer(gl.ARRAY_BUFFER, squares.buffer);
      for (let first = 0; first < squares.count; first += MOST_PATCHES) {
        const start = first * VERTICES * BYTES, count = Math.min(MOST_PATCHES, squares.count - first);
        gl.vertexAttribPointer(0, 3, gl.UNSIGNED_SHORT, false, BYTES, start);
        gl.vertexAttribPointer(1, 2, gl.UNSIGNED_SHORT, true, BYTES, start + 6);
        gl.vertexAttribPointer(2, 1, gl.UNSIGNED_SHORT, true, BYTES, start + 10);
        gl.drawElements(gl.TRIANGLES, count * 6 * STEPS * STEPS, gl.UNSIGNED_SHORT, 0);
      }
    };
    gl.activeTexture(gl.TEXTURE1);
    gl.bindTexture(gl.TEXTURE_2D, scene.coverage.made);
    gl.disable(gl.BLEND);
    put(scene.whole, scene.photo, grid, 0);
    put(scene.edges, scene.tiles, grid, 1);
    put(scene.backdrop, scene.farthest, backdrop, 0);
    gl.enable(gl.BLEND);
    gl.depthMask(false);
    put(scene.edges, scene.tiles, grid, 2);
  }

  function watchDensity() {
    // The window may go to a screen whose pixels are of another size.
    const same = window.matchMedia("(resolution: " + (window.devicePixelRatio || 1) + "dppx)");
    same.addEventListener?.("change", () => { refit(); watchDensity(); }, { once: true });
  }

  function refit() {
    fit();
    ask();
  }

  function fit() {
    const ratio = Math.min(window.devicePixelRatio || 1, 4096 / Math.max(box.clientWidth, box.clientHeight, 1));
    const width = Math.max(1, Math.round(box.clientWidth * ratio)), height = Math.max(1, Math.round(box.clientHeight * ratio));
    if (canvas.width === width && canvas.height === height) return;
    [canvas.width, canvas.height, drawn] = [width, height, ""];
  }

  // ---- Moving ------------------------------------------------------------------------------------

  function aim(x, y) {
    const length = Math.max(1, Math.hypot(x, y));
    target.x = x / length;
    target.y = y / length;
  }

  function step(now) {
    asked = 0;
    if (!scene) return;
    const seconds = Math.min((now - last) / 1000, 0.1);
    last = now;
    const idle = !fixed && !calm.matches ? (now - touched) / 1000 - 2 : -1;
    if (idle > 0) aim(0.6 * Math.sin(0.7 * idle), 0.35 * Math.sin(1.4 * idle));
    const share = fixed ? 1 : 1 - Math.exp(-seconds * (idle > 0 ? 2 : 9));
    view.x += share * (target.x - view.x);
    view.y += share * (target.y - view.y);
    const moving = Math.hypot(target.x - view.x, target.y - view.y) > 1e-4;
    const now_drawn = [view.x, view.y, canvas.width, canvas.height].join();
    if (now_drawn !== drawn) {
      draw();
      drawn = now_drawn;
    }
    if (moving || (!fixed && !calm.matches)) ask();
  }

  function ask() {
    if (!asked && !document.hidden) asked = requestAnimationFrame(step);
  }

  function touch() {
    touched = performance.now();
    ask();
  }

  function fromHash() {
    const wanted = new URLSearchParams(location.hash.slice(1));
    fixed = wanted.has("x") || wanted.has("y");
    if (fixed) aim(Number(wanted.get("x")) || 0, Number(wanted.get("y")) || 0);
    drawn = "";
    ask();
  }

  function listen() {
    let finger = null;
    canvas.addEventListener("pointerdown", (event) => {
      if (fixed) return;
      finger = { id: event.pointerId, x: event.clientX, y: event.clientY, from: { ...target } };
      if (event.pointerType !== "mouse") canvas.setPointerCapture(event.pointerId);
      touch();
    });
    window.addEventListener("pointermove", (event) => {
      if (fixed) return;
      const { left, top, width, height } = canvas.getBoundingClientRect();
      if (event.pointerType === "mouse") {
        aim((2 * (event.clientX - left)) / width - 1, (2 * (event.clientY - top)) / height - 1);
      } else if (finger && finger.id === event.pointerId) {
        // What is near goes with the finger, so the point of view goes against it.
        const reach = 0.3 * Math.min(width, height);
        aim(finger.from.x - (event.clientX - finger.x) / reach, finger.from.y - (event.clientY - finger.y) / reach);
      } else return;
      touch();
    });
    for (const name of ["pointerup", "pointercancel"]) window.addEventListener(name, () => (finger = null));
    window.addEventListener("keydown", (event) => {
      const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1], Home: [0, 0] }[event.key];
      if (!way || fixed || event.altKey || event.ctrlKey || event.metaKey) return;
      event.preventDefault();
      if (event.key === "Home") aim(0, 0);
      else aim(target.x + 0.25 * way[0], target.y + 0.25 * way[1]);
      touch();
    });
    window.addEventListener("hashchange", fromHash);
    window.addEventListener("resize", refit);
    document.addEventListener("visibilitychange", ask);
    watchDensity();
    calm.addEventListener?.("change", ask);
    canvas.addEventListener("webglcontextlost", (event) => { event.preventDefault(); scene = null; });
    canvas.addEventListener("webglcontextrestored", start);
    listenToTilt();
  }

  function listenToTilt() {
    // Where the eye is, seen from the phone, when the eye stays where it was and the phone is turned. Its
    // axes in the world are the columns of Rz(alpha) Rx(beta) Ry(gamma) (W3C, Device Orientation).
    let eye = null, before = { x: 0, y: 0 };
    const turned = (event) => {
      if (fixed || event.beta === null || event.gamma === null) return;
      const [a, b, c] = [event.alpha || 0, event.beta, event.gamma].map((degrees) => (degrees * Math.PI) / 180);
      const [sa, ca, sb, cb, sc, cc] = [Math.sin(a), Math.cos(a), Math.sin(b), Math.cos(b), Math.sin(c), Math.cos(c)];
      const right = [ca * cc - sa * sb * sc, cc * sa + ca * sb * sc, -cb * sc], up = [-cb * sa, ca * cb, sb];
      const out = [cc * sa * sb + ca * sc, sa * sc - ca * cc * sb, cb * cc];
      // The way it is held becomes the middle, slowly.
      eye = eye ? eye.map((old, axis) => old + 0.005 * (out[axis] - old)) : out;
      const along = (axis) => axis[0] * eye[0] + axis[1] * eye[1] + axis[2] * eye[2];
      const angle = (((screen.orientation && screen.orientation.angle) || 0) * Math.PI) / 180;
      const [x, y] = [along(right), along(up)].map((share) => share / Math.sin(Math.PI / 9));
      const seen = { x: x * Math.cos(angle) - y * Math.sin(angle), y: -x * Math.sin(angle) - y * Math.cos(angle) };
      if (Math.hypot(seen.x - before.x, seen.y - before.y) < 0.02) return; // it lies on a table
      before = seen;
      aim(seen.x, seen.y);
      touch();
    };
    const begin = () => window.addEventListener("deviceorientation", turned);
    const sensor = window.DeviceOrientationEvent;
    if (!sensor) return;
    if (typeof sensor.requestPermission !== "function") return begin();
    // On iOS the sensor has to be asked for, in answer to a tap.
    const button = element("tilt");
    button.hidden = false;
    button.addEventListener("click", async () => {
      button.hidden = true;
      try {
        if ((await sensor.requestPermission()) === "granted") begin();
      } catch (refusal) { /* no sensor for pages like this one: fingers still work */ }
    });
  }

  // ---- Beginning ---------------------------------------------------------------------------------

  function start() {
    try {
      scene = build();
    } catch (reason) {
      scene = null;
      return fail("This photo can't be shown in three dimensions here: " + reason.message);
    }
    drawn = "";
    fit();
    fromHash();
    draw();
    root.dataset.state = "ready";
  }

  async function begin() {
    gl = canvas.getContext("webgl", { alpha: false, antialias: true, depth: true, powerPreference: "low-power" });
    if (!gl) return fail("This browser shows no WebGL, so the photo stands still. Another browser, or a newer graphics driver, will let it move.");
    try {
      await Promise.all(["photo", "tiles", "coverage", "backdrop"].map((id) => element(id).decode()));
    } catch (reason) {
      return fail("This page is damaged: a picture in it can't be read. Save it again.");
    }
    touched = performance.now();
    last = touched;
    start();
    if (scene) listen();
  }

  begin();
})();
