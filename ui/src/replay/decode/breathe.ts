// Lets messages in between two pieces of long work, so that what is no longer wanted can be stopped.

const MAX_MILLIS = 12;
let since = 0;

export async function breathe(signal?: AbortSignal): Promise<void> {
  const now = performance.now();
  if (now - since < MAX_MILLIS) return;
  await new Promise<void>((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(null);
  });
  since = performance.now();
  signal?.throwIfAborted();
}
