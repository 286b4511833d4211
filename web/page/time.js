/** @file How long something takes, in words. */

/**
 * @param {number} seconds
 * @returns {string}
 */
export function duration(seconds) {
  if (seconds < 90) return `${Math.max(1, Math.ceil(seconds))} s`;
  const minutes = Math.ceil(seconds / 60);
  return minutes < 90 ? `${minutes} min` : `${(minutes / 60).toFixed(1)} h`;
}

/** Tells how much time is left, by how long what is done took. */
export class Clock {
  #began = performance.now();

  /** Begins anew. */
  start() {
    this.#began = performance.now();
  }

  /**
   * @param {number} done Share that is done, 0..1.
   * @returns {string} Such as `40 %, about 5 s left`.
   */
  left(done) {
    const passed = (performance.now() - this.#began) / 1000;
    return `${Math.floor(100 * done)} %, about ${duration(passed * (1 / done - 1))} left`;
  }
}
