// node --test
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Item, canonical, cut, exportsOf, extra, patch, payload, reject } from './sdk.mjs';

test('the helpers write what the service reads', () => {
  assert.equal(canonical({ b: [{ d: 1, c: null }], a: 'ü' }), '{"a":"ü","b":[{"c":null,"d":1}]}');
  assert.equal(cut('a😀b', 2), 'a😀');
  assert.deepEqual(patch().remove('sale_price').outcome().val.changes, [{ name: 'sale_price', value: null }]);
  assert.throws(() => patch().text('id', 'v-2'), /id/);
  assert.equal(payload({ title: 'Shirt', id: 'v-1' }).outcome().val.data, '{"id":"v-1","title":"Shirt"}');
  assert.equal(reject('too_cheap', 'below 1.00').outcome().tag, 'rejected');
});

test('a module answers item by item, asks for the built-in result when told to, and logs what it throws', () => {
  const logged = [];
  const host = {
    builtin: (index) => ({ tag: 'mapped', val: { data: JSON.stringify({ title: `Item ${index}` }) } }),
    log: (message) => logged.push(message),
  };
  const mapper = {
    name: 'shout',
    version: '1.0.0',
    map: (_, item) => patch().text('title', item.builtin().title.toUpperCase() + item.product.mark),
  };
  const module = exportsOf(mapper, host);
  assert.deepEqual(module.describe(), { name: 'shout', version: '1.0.0' });
  const items = [{ productIndex: 1, variant: { id: 'a' } }, { productIndex: 0, variant: { id: 'b' } }];
  const outcomes = module.mapItems({}, [{ mark: '!' }, { mark: '?' }], items);
  assert.deepEqual(outcomes.map((it) => it.val.changes[0].value), ['"ITEM 0?"', '"ITEM 1!"']);

  assert.throws(() => module.mapItems({}, [], items), TypeError);
  assert.match(logged[0], /^item a: TypeError/);
});

test('an item of a test answers with what it was given', () => {
  const item = new Item({ extraJson: '{"season":"winter"}' }, { id: 'v-1' }, { title: 'Shirt' });
  assert.equal(item.builtin().title, 'Shirt');
  assert.equal(new Item({}, {}, null).builtin(), null);
  assert.throws(() => new Item({}, {}).builtin(), /no built-in result/);
  assert.deepEqual(extra(item.product), { season: 'winter' });
  assert.deepEqual(extra({ extraJson: null }), {});
});

test('of several instants the earliest counts', () => {
  assert.equal(patch().reevaluateAt(5).reevaluateAt(3).reevaluateAt(4).outcome().val.reevaluateAt, 3);
});
