// node --test
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { map } from './mapper.mjs';
import { Item } from './sdk.mjs';

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
