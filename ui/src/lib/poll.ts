// Asks for something again and again, each time some time after the last answer. Returns how to stop.

export function poll(ask: () => Promise<unknown>, millis: () => number): () => void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let isStopped = false;
  async function round() {
    await ask();
    if (!isStopped) timer = setTimeout(round, millis());
  }
  void round();
  return () => {
    isStopped = true;
    clearTimeout(timer);
  };
}
