// What the network takes and gives, as numbers: pure functions, which know no page.

/** One channel a class, then where objects meet (if `objects` are given): planes of 0 and 1. */
function segmapOf(ids, objects, width, classes) {
  const area = ids.length;
  const planes = new Float32Array((classes + (objects ? 1 : 0)) * area);
  ids.forEach((id, k) => (planes[id * area + k] = 1));
  if (objects) planes.set(edgesOf(objects, width), classes * area);
  return planes;
}

/** 1 where a pixel's object is another than that of any of its four neighbours. */
function edgesOf(objects, width) {
  const edges = new Float32Array(objects.length);
  const mark = (a, b) => {
    if (objects[a] !== objects[b]) edges[a] = edges[b] = 1;
  };
  for (let k = 0; k < objects.length; k++) {
    if ((k + 1) % width) mark(k, k + 1);
    if (k + width < objects.length) mark(k, k + width);
  }
  return edges;
}

/** Planes of red, green and blue in [-1, 1] as bytes r, g, b, opaque. */
function pixelsOf(planes) {
  const area = planes.length / 3;
  const pixels = new Uint8ClampedArray(4 * area).fill(255); // which rounds, and cuts off at 0 and 255
  for (let k = 0; k < area; k++) {
    for (let c = 0; c < 3; c++) pixels[4 * k + c] = (planes[c * area + k] + 1) * 127.5;
  }
  return pixels;
}
