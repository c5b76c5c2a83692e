// What a mapper needs, so that its author writes one function. No need to change anything here.
//
// Runs in QuickJS inside the service and in Node for tests. QuickJS has no Date.now, Math.random, fetch, URL,
// TextDecoder, Intl or console: the first two end the module, the others do not exist. `context.now` is the clock.

/**
 * Changes to the built-in mapper's payload: the normal, cheap way. Without any, the payload stays as it is; where the
 * built-in mapper rejects the item, so does the patch.
 *
 *     return patch().text('custom_label_4', 'season-winter').remove('sale_price');
 */
export function patch() {
  return new Patch();
}

/**
 * Keeps an item out of the catalog: it is deleted at Meta, or skipped if it was never there.
 *
 * @param {string} code stable snake_case, counted by operators
 * @param {string} message a sentence for a person
 * @param {string} [field] the source field that decided it, such as 'product.title'
 */
export function reject(code, message, field) {
  return { outcome: () => ({ tag: 'rejected', val: { code, field: field ?? null, message } }) };
}

/** A whole payload, made from scratch: `payload({ id: item.variant.id, title: … })`. */
export function payload(data) {
  return new Payload(data);
}

/**
 * The first `limit` characters of a text. Unlike `slice`, never half a character.
 *
 * @param {string} text
 * @param {number} limit
 */
export function cut(text, limit) {
  return Array.from(text).slice(0, limit).join('').trimEnd();
}

/**
 * What else the shop knows of a product or variant (`extra` of an import line): an object, empty if there is none.
 *
 * @param {{ extraJson?: string | null }} of
 */
export function extra(of) {
  return of.extraJson == null ? {} : JSON.parse(of.extraJson);
}

class Answer {
  warnings = [];
  reevaluateAtMs = null;

  /**
   * Warns the operator; nothing stops the push.
   *
   * @param {string} code stable snake_case
   * @param {string | null} field the Meta field it is about, if one
   * @param {string} message a sentence that says how to mend it
   */
  warn(code, field, message) {
    this.warnings.push({ code, field: field ?? null, message });
    return this;
  }

  /**
   * Says when time alone changes this answer, in milliseconds since the Unix epoch: the service maps the item again
   * then. Needed wherever `context.now` decided anything. Of several the earliest counts.
   */
  reevaluateAt(ms) {
    this.reevaluateAtMs = this.reevaluateAtMs === null ? ms : Math.min(this.reevaluateAtMs, ms);
    return this;
  }
}

class Patch extends Answer {
  changes = new Map();

  /** Sets a text field. */
  text(name, value) {
    return this.value(name, String(value));
  }

  /** Sets a field to anything that is JSON, such as a list of texts. */
  value(name, value) {
    if (name === 'id') throw new Error('`id` is the key of the item and cannot be changed');
    this.changes.set(name, canonical(value));
    return this;
  }

  /** Leaves a field out. */
  remove(name) {
    this.value(name, null);
    this.changes.set(name, null);
    return this;
  }

  outcome() {
    const changes = Array.from(this.changes, ([name, value]) => ({ name, value }));
    return { tag: 'patched', val: { changes, warnings: this.warnings, reevaluateAt: this.reevaluateAtMs } };
  }
}

class Payload extends Answer {
  constructor(data) {
    super();
    if (typeof data.id !== 'string') throw new Error('a payload has a text `id`');
    this.data = data;
  }

  outcome() {
    const { data, warnings, reevaluateAtMs: reevaluateAt } = this;
    return { tag: 'mapped', val: { id: data.id, data: canonical(data), warnings, reevaluateAt } };
  }
}

/** A variant with its product. */
export class Item {
  #builtin;

  /** For a test, `builtin` is what the built-in mapper is to say: the object of the payload, or null if it rejects. */
  constructor(product, variant, builtin = () => { throw new Error('the test gave no built-in result'); }) {
    this.product = product;
    this.variant = variant;
    this.#builtin = typeof builtin === 'function' ? builtin : () => builtin;
  }

  /**
   * The built-in mapper's payload as an object, or null if it rejects the item. A patch needs no such call: ask only
   * for a rule that must read the result.
   */
  builtin() {
    return this.#builtin();
  }
}

/** JSON with sorted keys and no blanks, which is quickest for the service. */
export function canonical(value) {
  const sorted = (_, it) =>
    it !== null && typeof it === 'object' && !Array.isArray(it)
      ? Object.fromEntries(Object.keys(it).sort().map((key) => [key, it[key]]))
      : it;
  return JSON.stringify(value, sorted);
}

/**
 * The module's exports, made from a mapper and the service's functions. For module.mjs.
 *
 * @param {{ name: string, version: string, map: (context: object, item: Item) => { outcome(): object } }} mapper
 * @param {{ builtin(index: number): object, log(message: string): void }} host
 */
export function exportsOf(mapper, host) {
  return {
    describe: () => ({ name: mapper.name, version: mapper.version }),
    mapItems: (context, products, items) =>
      items.map(({ productIndex, variant }, index) => {
        const builtin = () => {
          const { tag, val } = host.builtin(index);
          return tag === 'mapped' ? JSON.parse(val.data) : null;
        };
        try {
          return mapper.map(context, new Item(products[productIndex], variant, builtin)).outcome();
        } catch (error) {
          // The text of an error does not survive the trap that it becomes.
          host.log(`item ${variant.id}: ${error}\n${error.stack ?? ''}`);
          throw error;
        }
      }),
  };
}
