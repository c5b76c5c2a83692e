// The entry of the module: joins mapper.mjs to the service. No need to change anything here.
import host from 'catalog:mapper/host@1.0.0';

import * as mapper from './mapper.mjs';
import { exportsOf } from './sdk.mjs';

export const mapping = exportsOf(mapper, host);
