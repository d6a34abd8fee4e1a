/**
 * The browser's clock and timers: the only file of the pages that touches them. Everything else is handed a time or asks
 * here, so what decides stays a function of its arguments.
 */

/** Unix ms. */
export const nowMs = () => Date.now();

/** Runs `task` after `ms`; the result cancels it. */
export function after(ms, task) {
  const id = setTimeout(task, ms);
  return () => clearTimeout(id);
}

/** Runs `task` every `ms` while `signal` isn't aborted and the page is visible; once at once when it becomes visible. */
export function every(ms, task, signal) {
  const run = () => {
    if (!document.hidden) task();
  };
  const id = setInterval(run, ms);
  document.addEventListener("visibilitychange", run, { signal });
  signal.addEventListener("abort", () => clearInterval(id), { once: true });
}

/** Runs `task` before the next painting; further calls until then are one. */
export function oncePerFrame(task) {
  let isPlanned = false;
  return () => {
    if (isPlanned) return;
    isPlanned = true;
    requestAnimationFrame(() => {
      isPlanned = false;
      task();
    });
  };
}

/** Resolves after `ms`. */
export const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
