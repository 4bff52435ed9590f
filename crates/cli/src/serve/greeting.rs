//! What is said at the start: what a user has to do, and no more.

use std::net::SocketAddr;

use paceline::wire::provider::Catalog;
use tracing::info;

use super::plan::Plan;
use crate::args::LogForm;
use crate::messages;

/// Says where callers go, and whose keys are used. A log for programs gets it as one event.
pub(super) fn say(plan: &Plan, (listen, admin): (SocketAddr, Option<SocketAddr>), form: LogForm) {
    let base = format!("http://{listen}");
    let upstreams = plan.upstreams().join(", ");
    let keys = match &plan.keys {
        None => "each caller's own key is passed on".to_owned(),
        Some(keys) if keys.callers.is_empty() => "callers present one of the keys set here".to_owned(),
        Some(keys) => {
            let names: Vec<&str> = keys.callers.iter().map(|caller| caller.name.as_str()).collect();
            format!("callers present a key of their own ({}) or an upstream's", names.join(", "))
        }
    };
    if form == LogForm::Json {
        let admin = admin.map(|admin| format!("http://{admin}"));
        info!(base_url = base, admin, upstreams, keys, "serving");
        return;
    }
    let operator = match admin {
        Some(admin) => format!("http://{admin}/v1/status, /metrics, /healthz, /readyz"),
        None => "off".to_owned(),
    };
    // Only upstreams that are called as their provider are found below its name.
    let named = plan.upstreams().iter().any(|name| Catalog::embedded().provider(name).is_some());
    let by_name = if named { format!("; by name: {base}/PROVIDER/v1") } else { String::new() };
    messages::say(&format!(
        "serving; tell your programs:\n  export ANTHROPIC_BASE_URL={base}\n  export OPENAI_BASE_URL={base}/v1\n\
         keys: {keys}\nupstreams: {upstreams}{by_name}\nadmin: {operator}"
    ));
}
