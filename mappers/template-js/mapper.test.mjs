// node --test
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { map } from './mapper.mjs';
import { Item, canonical, cut, exportsOf, patch, payload, reject } from './sdk.mjs';

const answer = (date, season) => {
  const product = { extraJson: season === undefined ? null : JSON.stringify({ season }) };
  return map({ now: Date.parse(date) }, new Item(product, { id: 'v-1' })).outcome().val;
};

test('the label changes with the season, and says when', () => {
  const winter = answer('2026-12-24T18:00:00Z', 'winter');
  assert.deepEqual(winter.changes, [{ name: 'custom_label_4', value: '"in-season"' }]);
  assert.equal(new Date(winter.reevaluateAt).toISOString(), '2027-03-01T00:00:00.000Z');

  const spring = answer('2027-03-01T00:00:00Z', 'winter');
  assert.deepEqual(spring.changes, [{ name: 'custom_label_4', value: '"off-season"' }]);
  assert.equal(new Date(spring.reevaluateAt).toISOString(), '2027-12-01T00:00:00.000Z');

  assert.equal(new Date(answer('2027-02-28T23:59:59Z', 'winter').reevaluateAt).toISOString(), '2027-03-01T00:00:00.000Z');
  assert.equal(new Date(answer('2027-11-30T00:00:00Z', 'summer').reevaluateAt).toISOString(), '2028-06-01T00:00:00.000Z');
});

test('a product without a season stays as it is', () => {
  assert.deepEqual(answer('2026-12-24T18:00:00Z'), { changes: [], warnings: [], reevaluateAt: null });
});

test('an unknown season is told', () => {
  const { changes, warnings } = answer('2026-12-24T18:00:00Z', 'monsoon');
  assert.deepEqual(changes, []);
  assert.equal(warnings[0].code, 'season_unknown');
});

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
