// Runs the network beside the page, so that painting goes on meanwhile: a map comes, a picture goes.

import { InferenceSession, Tensor, env } from "./onnxruntime.js";

env.wasm.numThreads = 1; // more need headers that plain servers don't send
const network = InferenceSession.create("generator.onnx", { executionProviders: ["wasm"] });

/** { ids, objects, size: [h, w], classes, z } to { pixels, size, seconds }, or { error }. */
async function paint({ ids, objects, size, classes, z }) {
  const session = await network;
  const begun = performance.now();
  const [height, width] = size;
  const planes = segmapOf(ids, objects, width, classes);
  const inputs = { segmap: new Tensor("float32", planes, [1, planes.length / ids.length, height, width]) };
  if (z) inputs.z = new Tensor("float32", Float32Array.from(z), [1, z.length]);
  const { image } = await session.run(inputs);
  return { pixels: pixelsOf(image.data), size: image.dims.slice(2), seconds: (performance.now() - begun) / 1000 };
}

self.onmessage = async ({ data }) => {
  try {
    self.postMessage(await paint(data));
  } catch (error) {
    self.postMessage({ error: `The network can't run in this browser: ${error.message ?? error}` });
  }
};
