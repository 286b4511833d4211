/** @file The photographs as they are listed: name, state, and what can be done. */

/** Shows the items. */
export class List {
  /** @type {Map<number, HTMLLIElement>} */
  #rows = new Map();

  /**
   * @param {HTMLOListElement} element
   * @param {import('./items.js').Items} items
   */
  constructor(element, items) {
    this.element = element;
    this.items = items;
  }

  /** Shows the state of an item. */
  update(item) {
    let row = this.#rows.get(item.id);
    if (!this.items.list.includes(item)) {
      row?.remove();
      this.#rows.delete(item.id);
      return;
    }
    if (!row) {
      row = this.#make(item);
      this.#rows.set(item.id, row);
      this.element.append(row);
    }
    const working = item.state === 'working' || item.state === 'waiting';
    row.classList.toggle('failed', item.state === 'failed');
    row.querySelector('.state').textContent = item.told;
    row.querySelector('.cancel').hidden = !working;
    row.querySelector('.remove').hidden = working;
    row.querySelector('.confirm').hidden = item.state !== 'asking';
    const bar = row.querySelector('progress');
    bar.hidden = item.state !== 'working';
    if (item.done) bar.value = item.done;
    else bar.removeAttribute('value');
  }

  /** Marks the item that is shown. */
  mark(selected) {
    for (const [id, row] of this.#rows) {
      const here = id === selected?.id;
      row.classList.toggle('selected', here);
      row.querySelector('.name').setAttribute('aria-pressed', String(here));
    }
  }

  #make(item) {
    const { items } = this;
    const row = document.createElement('li');
    const button = (kind, text, work) => {
      const made = document.createElement('button');
      Object.assign(made, { type: 'button', className: kind, textContent: text });
      if (kind !== 'name') made.setAttribute('aria-label', `${text} ${item.file.name}`);
      made.addEventListener('click', work);
      return made;
    };
    const bar = document.createElement('progress');
    bar.max = 1;
    bar.setAttribute('aria-label', `Progress of ${item.file.name}`);
    const state = document.createElement('span');
    state.className = 'state';
    row.append(
      button('name', item.file.name, () => items.select(item)),
      button('confirm', 'Do it', () => items.again(item, true)),
      button('cancel', 'Cancel', () => items.cancel(item)),
      button('remove', 'Remove', () => items.remove(item)),
      bar,
      state,
    );
    return row;
  }
}
