/** @file What is to become of pictures: the form. */

/** The form of settings. */
export class Settings {
  /** @param {HTMLFormElement} form */
  constructor(form) {
    this.form = form;
    form.addEventListener('submit', (event) => event.preventDefault());
    form.addEventListener('input', () => this.#show());
    this.#show();
  }

  /**
   * Offers what there is.
   * @param {any} list What `models.json` says.
   */
  offer({ scales, models, styles }) {
    this.list = { scales, models };
    const { scale, style } = this.form.elements;
    scale.replaceChildren(...scales.map((each) => new Option(`×${each.scale}`, each.scale)));
    scale.value = '4';
    style.replaceChildren(
      ...styles.names.map((name) => new Option(name.replaceAll('-', ' '), name)),
    );
    this.#show();
  }

  /** Returns what is asked for, as a part of a job. */
  read() {
    const { elements } = this.form;
    if (elements.task.value === 'paint') {
      return {
        paint: {
          style: elements.style.value,
          strength: Number(elements.strength.value),
          preserveColour: elements.preserveColour.checked,
        },
      };
    }
    const restore =
      elements.restore.value === 'part' ? elements.part.value : elements.restore.value;
    return {
      enlarge: {
        scale: Number(elements.scale.value),
        restore: restore === 'auto' ? restore : Number(restore),
        fidelity: Number(elements.fidelity.value),
        model: elements.model.value,
      },
    };
  }

  /** Shows what belongs to what is chosen. */
  #show() {
    const { elements } = this.form;
    const painting = elements.task.value === 'paint';
    this.form.querySelector('#enlarge').hidden = painting;
    this.form.querySelector('#paint').hidden = !painting;
    this.form.querySelector('#part').hidden = elements.restore.value !== 'part';
    elements.restore.disabled = Boolean(elements.model.value); // a model is used as it is
    for (const output of this.form.querySelectorAll('output')) {
      output.value = `${Math.round(100 * elements[output.htmlFor.value].value)} %`;
    }
    if (this.list) this.#offerModels(Number(elements.scale.value));
  }

  /** Offers the models that reach a scale, by one pass or two. */
  #offerModels(scale) {
    const { model } = this.form.elements;
    const reaching = this.list.models.filter((each) => scale <= each.scale ** 2);
    const names = ['', ...reaching.map(({ name }) => name)];
    if (names.join() === [...model.options].map(({ value }) => value).join()) return;
    const chosen = names.includes(model.value) ? model.value : '';
    model.replaceChildren(...names.map((name) => new Option(name || 'the usual one', name)));
    model.value = chosen;
  }
}

/**
 * Returns what the names of results end with, as infer.py has it.
 * @param {ReturnType<Settings['read']>} asked
 */
export function suffixOf({ enlarge, paint }) {
  return paint ? `_${paint.style}` : `_x${enlarge.scale}`;
}
