import type { Command } from './command.ts';
import { adopt } from './commands/adopt.ts';
import { approve } from './commands/approve.ts';
import { auditLs } from './commands/audit/ls.ts';
import { auditShow } from './commands/audit/show.ts';
import { auditVerify } from './commands/audit/verify.ts';
import { call } from './commands/call.ts';
import { check } from './commands/check.ts';
import { clientsAdd } from './commands/clients/add.ts';
import { clientsLs } from './commands/clients/ls.ts';
import { clientsRm } from './commands/clients/rm.ts';
import { clientsSet } from './commands/clients/set.ts';
import { deny } from './commands/deny.ts';
import { deprecate } from './commands/deprecate.ts';
import { dev } from './commands/dev.ts';
import { doctor } from './commands/doctor.ts';
import { grants } from './commands/grants.ts';
import { inbox } from './commands/inbox.ts';
import { info } from './commands/info.ts';
import { init } from './commands/init.ts';
import { install } from './commands/install.ts';
import { keysCreate } from './commands/keys/create.ts';
import { keysLs } from './commands/keys/ls.ts';
import { keysRegister } from './commands/keys/register.ts';
import { keysRetire } from './commands/keys/retire.ts';
import { list } from './commands/list.ts';
import { login } from './commands/login.ts';
import { overview } from './commands/overview.ts';
import { pack } from './commands/pack.ts';
import { profilesLs } from './commands/profiles/ls.ts';
import { profilesRm } from './commands/profiles/rm.ts';
import { profilesSet } from './commands/profiles/set.ts';
import { profilesShow } from './commands/profiles/show.ts';
import { proxy } from './commands/proxy.ts';
import { publish } from './commands/publish.ts';
import { remove } from './commands/remove.ts';
import { revoke } from './commands/revoke.ts';
import { search } from './commands/search.ts';
import { serveHub } from './commands/serve/hub.ts';
import { serveRegistry } from './commands/serve/registry.ts';
import { sign } from './commands/sign.ts';
import { signIn } from './commands/sign-in.ts';
import { status } from './commands/status.ts';
import { tokensAdd } from './commands/tokens/add.ts';
import { tokensLs } from './commands/tokens/ls.ts';
import { tokensRm } from './commands/tokens/rm.ts';
import { unyank } from './commands/unyank.ts';
import { up } from './commands/up.ts';
import { verify } from './commands/verify.ts';
import { yank } from './commands/yank.ts';

/** Every command, in the order in which help shows them. */
export const COMMANDS: readonly Command[] = [
  overview,
  up,
  status,
  doctor,

  search,
  info,
  install,
  adopt,
  list,
  remove,
  signIn,
  call,
  clientsAdd,
  clientsLs,
  clientsSet,
  clientsRm,
  profilesLs,
  profilesShow,
  profilesSet,
  profilesRm,
  proxy,

  init,
  dev,
  check,
  pack,

  publish,
  sign,
  yank,
  unyank,
  deprecate,
  login,
  keysCreate,
  keysLs,
  keysRegister,
  keysRetire,
  tokensAdd,
  tokensLs,
  tokensRm,

  inbox,
  approve,
  deny,
  grants,
  revoke,

  auditLs,
  auditShow,
  auditVerify,
  verify,

  serveHub,
  serveRegistry,
];
