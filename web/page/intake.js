/** @file How photographs come in: dropped, pasted, chosen, or taken. */

/**
 * Listens for photographs.
 * @param {HTMLElement} area Where they are dropped; the whole page takes them too.
 * @param {HTMLInputElement[]} inputs Where they are chosen or taken.
 * @param {(files: File[]) => void} take
 */
export function listen(area, inputs, take) {
  for (const input of inputs) {
    input.addEventListener('change', () => {
      take([...input.files]);
      input.value = ''; // so that the same one may be chosen again
    });
  }
  let inside = 0;
  const mark = (change) => {
    inside = Math.max(0, inside + change);
    area.classList.toggle('over', inside > 0);
  };
  document.addEventListener('dragenter', () => mark(1));
  document.addEventListener('dragleave', () => mark(-1));
  document.addEventListener('dragover', (event) => event.preventDefault());
  document.addEventListener('drop', (event) => {
    event.preventDefault();
    mark(-inside);
    take([...(event.dataTransfer?.files ?? [])]);
  });
  document.addEventListener('paste', (event) => {
    const files = [...(event.clipboardData?.files ?? [])];
    if (files.length) take(files);
  });
}
