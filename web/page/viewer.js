/** @file A photograph before and after, with a slider between. */

/** Shows one item at a time. */
export class Viewer {
  #urls = [];
  /** @type {HTMLImageElement | null} Of the result, as long as it is shown or loading. */
  loading = null;

  /** @param {HTMLElement} section With all that it needs inside. */
  constructor(section) {
    this.section = section;
    const find = (id) => section.querySelector(`#${id}`);
    this.stage = find('stage');
    this.frame = find('frame');
    this.before = find('before');
    this.after = find('after');
    this.slider = find('slider');
    this.zoom = find('zoom');
    this.slider.addEventListener('input', () => this.#move(Number(this.slider.value)));
    this.zoom.addEventListener('click', () => this.#scale(!this.actual));
    find('stage').addEventListener('click', (event) => this.#point(event));
    this.#drag(find('handle'));
    addEventListener('resize', () => this.#fit());
  }

  /**
   * Shows a photograph alone.
   * @param {Blob} file
   */
  open(file) {
    this.#forget();
    this.size = null;
    this.before.src = this.#url(file);
    this.after.replaceChildren();
    this.stage.classList.add('working');
    this.section.hidden = false;
    this.zoom.disabled = true;
    this.#scale(false);
  }

  /**
   * Makes room for a result.
   * @param {{width: number, height: number}} size Of the result, in pixels.
   * @param {HTMLCanvasElement | null} canvas That it is drawn to while it is made.
   */
  expect(size, canvas) {
    this.size = size;
    this.after.replaceChildren(...(canvas ? [canvas] : []));
    this.stage.classList.remove('working');
    this.zoom.disabled = false;
    this.#fit();
  }

  /**
   * Shows the whole result.
   * @param {Blob} file
   */
  finish(file) {
    const image = new Image();
    image.alt = 'The photograph after';
    image.draggable = false;
    image.src = this.#url(file);
    this.loading = image;
    // What was drawn stays until the file is decoded, and where it cannot be.
    const show = () => image === this.loading && this.after.replaceChildren(image);
    image.decode().then(show, () => {});
  }

  /** Shows nothing. */
  close() {
    this.#forget();
    this.section.hidden = true;
  }

  #url(blob) {
    const url = URL.createObjectURL(blob);
    this.#urls.push(url);
    return url;
  }

  #forget() {
    for (const image of [this.before, this.loading]) image?.removeAttribute('src');
    this.loading = null;
    for (const url of this.#urls.splice(0)) URL.revokeObjectURL(url);
  }

  #move(percent) {
    const inside = Math.min(100, Math.max(0, percent));
    this.slider.value = inside;
    this.stage.style.setProperty('--at', `${inside}%`);
  }

  #point(event) {
    const { left, width } = this.stage.getBoundingClientRect();
    this.#move((100 * (event.clientX - left)) / width);
  }

  #drag(handle) {
    handle.addEventListener('pointerdown', (event) => {
      event.preventDefault();
      handle.setPointerCapture(event.pointerId);
    });
    handle.addEventListener('pointermove', (event) => {
      if (handle.hasPointerCapture(event.pointerId)) this.#point(event);
    });
  }

  #scale(actual) {
    this.actual = actual;
    this.zoom.setAttribute('aria-pressed', String(actual));
    this.#fit();
    if (!actual || !this.size) return;
    this.frame.scrollLeft = (this.stage.offsetWidth - this.frame.clientWidth) / 2;
    this.frame.scrollTop = (this.stage.offsetHeight - this.frame.clientHeight) / 2;
  }

  /** Gives the stage the size of the result, or the largest of its shape that fits. */
  #fit() {
    const { style } = this.stage;
    if (!this.size) {
      style.removeProperty('width');
      style.removeProperty('aspect-ratio');
      return;
    }
    const { width, height } = this.size;
    style.aspectRatio = `${width} / ${height}`;
    const fitting = Math.min(this.frame.clientWidth, (0.8 * innerHeight * width) / height);
    style.width = `${this.actual ? width / devicePixelRatio : Math.min(fitting, width)}px`;
  }
}
