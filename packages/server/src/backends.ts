import type { Backend } from './backend.ts';

/** All backends that can be chosen. */
export class Backends {
  readonly #list: Backend[] = [];
  readonly #onChange: (count: number) => void;

  constructor(onChange: (count: number) => void) {
    this.#onChange = onChange;
  }

  get count(): number {
    return this.#list.length;
  }

  add(backend: Backend): void {
    this.#list.push(backend);
    this.#onChange(this.#list.length);
  }

  remove(backend: Backend): void {
    const at = this.#list.indexOf(backend);
    if (at < 0) return;
    this.#list.splice(at, 1);
    this.#onChange(this.#list.length);
  }

  /** All backends; not to be changed. */
  all(): readonly Backend[] {
    return this.#list;
  }
}
