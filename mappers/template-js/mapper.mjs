// Labels what is in season, so that ads can follow the weather.
//
// The shop marks a product with `extra: {"season": "winter"}`. While that season lasts (months of the northern
// hemisphere, UTC), custom_label_4 is `in-season`, otherwise `off-season`.
import { extra, patch } from './sdk.mjs';

// Operators see both beside the module's digest.
export const name = 'seasonal-label';
export const version = '1.0.0';

/** The month in which each season starts, January being 0. */
const STARTS = { spring: 2, summer: 5, autumn: 8, winter: 11 };
const MONTHS = 3;

/** The one function of a mapper: what to say of an item. */
export function map(context, item) {
  const { season } = extra(item.product);
  if (season == null) return patch();
  const start = STARTS[season];
  if (start === undefined) {
    const known = Object.keys(STARTS).join(', ');
    return patch().warn('season_unknown', 'custom_label_4', `extra.season is “${season}”; use one of ${known}`);
  }
  const now = new Date(Number(context.now));
  const monthsIn = (now.getUTCMonth() - start + 12) % 12;
  const inSeason = monthsIn < MONTHS;
  // The label holds until the season ends, or until it comes again; Date.UTC carries months over the year's end.
  const left = inSeason ? MONTHS - monthsIn : 12 - monthsIn;
  return patch()
    .text('custom_label_4', inSeason ? 'in-season' : 'off-season')
    .reevaluateAt(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + left, 1));
}
