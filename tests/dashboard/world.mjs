// A gateway with all that a dashboard can show: limits, a queue, throttling, a broken upstream, callers with budgets.

import { KEY, TOKEN, ask, sleep } from "./stage.mjs";

const THROTTLED = '[[rule]]\nfault = "throttled"\nevery = 40\n';
const BROKE = '[[rule]]\nfault = "insufficient-quota"\n';

export async function world(stage, { token = true } = {}) {
  const busy = await stage.mock("busy", "--rpm", "240", "--window", "minute-bucket", "--script", stage.write("throttled.toml", THROTTLED));
  const broke = await stage.mock("broke", "--script", stage.write("broke.toml", BROKE));
  stage.write("key", KEY);
  stage.write("other-key", `${KEY}-other`);
  stage.write("token", TOKEN);
  const [ci, desk] = [stage.key("ci"), stage.key("desk")];
  const upstream = (name, url, key, account) =>
    `[[upstream]]\nname = "${name}"\nprovider = "anthropic"\nbase_url = "${url}"\napi_key = { file = "${key}" }\naccount = "${account}"\n`;
  const rest = [
    upstream("claude-main", busy, "key", "org-a"),
    upstream("claude-backup", broke, "other-key", "org-b"),
    '[[quota]]\naccount = "org-a"\nmodels = ["claude-haiku-*"]\nrequests = "150/min, 5k/day"\ninput_tokens = "60k/min"\n',
    '[[pool]]\nmodel = "smart"\nupstreams = ["claude-main", "claude-backup"]\nsend_as = "claude-haiku-4-5"\n',
    '[[pool]]\nmodel = "backup"\nupstreams = ["claude-backup"]\nsend_as = "claude-haiku-4-5"\n',
    `[[caller]]\nname = "ci"\nkey_hash = "${ci.hash}"\npriority = "batch"\nbudget = "2 USD/day"\n`,
    `[[caller]]\nname = "desk"\nkey_hash = "${desk.hash}"\npriority = "interactive"\nrequests = "600/min"\n`,
  ].join("\n");
  const gateway = await stage.gateway(token ? "guarded" : "open", { server: token ? 'admin_token = { file = "token" }' : "", rest });
  return { ...gateway, ci: ci.key, desk: desk.key, token: token ? TOKEN : null };
}

/** Traffic until it is stopped: a batch that fills the queue, people in between, and now and then a name that is out of order. */
export function traffic(gateway, { batch = 24, people = 400 } = {}) {
  let goes = true;
  const lost = () => {};
  const keep = async (key, priority, pause, models) => {
    for (let turn = 0; goes; turn += 1) {
      await ask(gateway.url, key, { model: models[turn % models.length], priority, stream: turn % 3 === 0 }).catch(lost);
      if (goes) await sleep(pause);
    }
  };
  const callers = Array.from({ length: batch }, () => keep(gateway.ci, "batch", 20, ["smart"]));
  callers.push(keep(gateway.desk, "interactive", people, ["smart"]), keep(gateway.desk, "normal", people * 2, ["smart", "claude-sonnet-4-5"]), keep(gateway.desk, "normal", 4_000, ["backup"]));
  return () => { goes = false; };
}
