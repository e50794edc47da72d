// Loaded before a hub (`--import`): it then has no fast lane, so that the SDK answers every request. The product has no
// such switch; tests that must hold on both ways run twice (`npm run test:sdk-path`).
import { register } from 'node:module';

register('./without-fast-lane-hooks.mjs', import.meta.url);
