//! All known providers: the embedded file, with a user's file laid over it.
//!
//! Files are laid over one another as tables, key by key, before they are read into [`Provider`]s; so a user's file may
//! name nothing but one price. Each file is checked alone first, which is where line numbers come from.

use std::sync::LazyLock;

use toml::{Table, Value};

use super::Provider;
use super::checked::checked;
use super::file::{File, ProviderFile};

/// The embedded provider data, in the grammar of a user's own file.
pub const EMBEDDED: &str = include_str!("../../providers.toml");

/// What a provider is like unless it says otherwise.
const BASE: &str = "openai-compatible";
/// How long a chain of `like` may be.
const MOST_LIKES: usize = 8;

static CATALOG: LazyLock<Catalog> =
    LazyLock::new(|| Catalog::read(None).expect("a test reads the embedded data, so it is good"));

/// All known providers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Catalog {
    providers: Vec<Provider>,
}

/// Why a provider file cannot be used. Callers put the file's name before it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CatalogError {
    /// It departs from the grammar.
    #[error("line {line}, column {column}{}: {message}", .key.as_ref().map(|key| format!(", key `{key}`")).unwrap_or_default())]
    Grammar {
        /// Counted from 1.
        line: usize,
        /// In characters, counted from 1.
        column: usize,
        /// The key on that line, if it has one.
        key: Option<String>,
        /// What is wrong and what would be right.
        message: String,
    },
    /// `like` names no provider.
    #[error("provider `{provider}` is `like` `{like}`, which is not known; known are {known}")]
    UnknownLike {
        /// Which.
        provider: String,
        /// Its `like`.
        like: String,
        /// Names that would do.
        known: String,
    },
    /// `like` leads in a circle, or too far.
    #[error("provider `{provider}` has a chain of `like` that does not end; take one `like` out")]
    EndlessLike {
        /// Which.
        provider: String,
    },
    /// A key that has no default is missing.
    #[error("provider `{provider}` lacks `{key}`; add it, or a `like` that has it")]
    Missing {
        /// Which.
        provider: String,
        /// What.
        key: &'static str,
    },
}

impl Catalog {
    /// The embedded data alone.
    pub fn embedded() -> &'static Catalog {
        &CATALOG
    }

    /// The embedded data with the file `text` laid over it.
    pub fn parse(text: &str) -> Result<Catalog, CatalogError> {
        Catalog::read(Some(text))
    }

    /// The provider called `name`.
    pub fn provider(&self, name: &str) -> Option<&Provider> {
        self.providers.iter().find(|provider| provider.name == name)
    }

    /// All of them, by name.
    pub fn providers(&self) -> impl Iterator<Item = &Provider> {
        self.providers.iter()
    }

    fn read(over: Option<&str>) -> Result<Catalog, CatalogError> {
        let mut all = table(EMBEDDED)?;
        if let Some(text) = over {
            lay(&mut all, table(text)?);
        }
        let mut providers = Vec::with_capacity(all.len());
        for name in all.keys() {
            let mut whole = inherited(&all, name)?;
            whole.remove("like");
            let file: ProviderFile = whole.try_into().map_err(|error| grammar("", &error))?;
            providers.push(checked(name, file)?);
        }
        Ok(Catalog { providers })
    }
}

/// Reads `text` as a table, but only once it is known to be a provider file.
fn table(text: &str) -> Result<Table, CatalogError> {
    let _: File = toml::from_str(text).map_err(|error| grammar(text, &error))?;
    toml::from_str(text).map_err(|error| grammar(text, &error))
}

fn grammar(text: &str, error: &toml::de::Error) -> CatalogError {
    let at = error.span().map_or(0, |span| span.start).min(text.len());
    let before = text.get(..at).unwrap_or_default();
    let start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let line = text.get(start..).and_then(|rest| rest.lines().next()).unwrap_or_default();
    let key = line.split_once('=').map(|(key, _)| key.trim().to_owned());
    CatalogError::Grammar {
        line: before.matches('\n').count() + 1,
        column: before.get(start..).unwrap_or_default().chars().count() + 1,
        key: key.filter(|key| !key.is_empty() && !key.starts_with('#')),
        message: error.message().trim_end().replace('\n', "; "),
    }
}

/// Lays `over` onto `base`: tables key by key, anything else replaced. TOML's own depth limit bounds the recursion.
fn lay(base: &mut Table, over: Table) {
    for (key, value) in over {
        match (base.get_mut(&key), value) {
            (Some(Value::Table(below)), Value::Table(above)) => lay(below, above),
            (_, value) => {
                base.insert(key, value);
            }
        }
    }
}

/// The table of `name` laid over that of the provider it is like, and so on down to [`BASE`].
fn inherited(all: &Table, name: &str) -> Result<Table, CatalogError> {
    let mut chain = vec![name];
    while let Some(below) = below(all, chain[chain.len() - 1]) {
        if !all.contains_key(below) {
            let known: Vec<&str> = all.keys().map(String::as_str).collect();
            let (provider, like) = (chain[chain.len() - 1].to_owned(), below.to_owned());
            return Err(CatalogError::UnknownLike { provider, like, known: known.join(", ") });
        }
        if chain.len() > MOST_LIKES {
            return Err(CatalogError::EndlessLike { provider: name.to_owned() });
        }
        chain.push(below);
    }
    let mut whole = Table::new();
    for name in chain.into_iter().rev() {
        if let Some(Value::Table(own)) = all.get(name) {
            lay(&mut whole, own.clone());
        }
    }
    Ok(whole)
}

fn below<'a>(all: &'a Table, name: &str) -> Option<&'a str> {
    if name == BASE {
        return None;
    }
    Some(all.get(name).and_then(|own| own.get("like")).and_then(Value::as_str).unwrap_or(BASE))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use paceline_core::quota::{Dimension, OutputRule, Quota};
    use proptest::prelude::*;

    use super::*;
    use crate::dialect::Dialect;
    use crate::provider::{Auth, LimitHeaders};

    #[test]
    fn the_embedded_data_is_good() {
        let known = [
            "anthropic",
            "azure",
            "cerebras",
            "deepseek",
            "fireworks",
            "gemini",
            "groq",
            "mistral",
            "ollama",
            "openai",
            "openai-compatible",
            "openrouter",
            "together",
            "vllm",
            "xai",
        ];
        let catalog = Catalog::embedded();
        assert_eq!(catalog.providers().map(|provider| &*provider.name).collect::<Vec<_>>(), known);
        let anthropic = catalog.provider("anthropic").unwrap();
        assert_eq!(anthropic.dialect, Dialect::Anthropic);
        assert_eq!(anthropic.auth, Auth::XApiKey);
        assert_eq!(anthropic.headers, [("anthropic-version".to_owned(), "2023-06-01".to_owned())]);
        assert_eq!(anthropic.limit_headers, LimitHeaders::Anthropic);
        let azure = catalog.provider("azure").unwrap();
        assert_eq!((azure.metering.output, &azure.base_url), (OutputRule::UpFront, &None));
        assert!(azure.metering.input_is_estimate && azure.metering.refusals_count);
        assert_eq!(catalog.provider("nobody"), None);
    }

    #[test]
    fn every_embedded_entry_can_be_reached() {
        for provider in Catalog::embedded().providers() {
            for price in &provider.prices {
                for pattern in &price.models {
                    let model = pattern.to_string().replace('*', "-x");
                    assert_eq!(provider.price(&model), Some(price), "{} {model}", provider.name);
                }
            }
            for pool in &provider.pools {
                for pattern in &pool.models {
                    let model = pattern.to_string().replace('*', "-x");
                    assert_eq!(provider.pool(&model), pool.name, "{} {model}", provider.name);
                }
            }
        }
    }

    #[test]
    fn every_embedded_tier_says_where_it_was_read() {
        for provider in Catalog::embedded().providers() {
            for tier in &provider.tiers {
                assert!(!tier.source.is_empty(), "{} {}", provider.name, tier.name);
            }
        }
    }

    #[test]
    fn pools_and_tiers_answer_for_models() {
        let anthropic = Catalog::embedded().provider("anthropic").unwrap();
        let opus = anthropic.pool("claude-opus-4-8");
        assert_eq!(opus, anthropic.pool("claude-opus-4-5-20251101"));
        assert_ne!(opus, anthropic.pool("claude-opus-4-1-20250805"));
        assert_eq!(anthropic.pool("claude-new-9"), "claude-new-9");
        let limit = anthropic.limit("start", "claude-sonnet-5").unwrap();
        let minute = Duration::from_secs(60);
        let quota = |dimension, limit| Quota { dimension, window: minute, limit };
        assert_eq!(
            limit.quotas,
            [
                quota(Dimension::Requests, 1_000),
                quota(Dimension::InputTokens, 2_000_000),
                quota(Dimension::OutputTokens, 400_000)
            ]
        );
        assert_eq!(anthropic.limit("gold", "claude-sonnet-5"), None);
        let groq = Catalog::embedded().provider("groq").unwrap();
        assert_eq!(groq.limit("free", "llama-3.1-8b-instant").unwrap().quotas.len(), 4);
        let deepseek = Catalog::embedded().provider("deepseek").unwrap();
        assert_eq!(deepseek.limit("default", "deepseek-v4-pro").unwrap().in_flight, Some(500));
    }

    #[test]
    fn a_file_changes_what_it_names_and_nothing_else() {
        let file = r#"
            [openai]
            metering = { output = "up-front" }
            prices.gpt-9 = { as_of = "2026-11-01", input = "1", output = "2.5" }
            prices.gpt-4o.input = "2"
            prices.gpt-4o.as_of = "2026-11-01"
            prices.gpt-4o.output = "10"

            [proxy]
            like = "anthropic"
            base_url = "https://proxy.example/anthropic"
            headers = { X-Team = "blue" }
        "#;
        let catalog = Catalog::parse(file).unwrap();
        let (openai, before) =
            (catalog.provider("openai").unwrap(), Catalog::embedded().provider("openai").unwrap());
        assert_eq!(openai.metering.output, OutputRule::UpFront);
        assert!(openai.metering.input_is_estimate, "its neighbours stay");
        assert_eq!(openai.price("gpt-9").unwrap().output, 2_500_000);
        let gpt_4o = openai.price("gpt-4o-2024-11-20").unwrap();
        assert_eq!((gpt_4o.input, gpt_4o.cache_read), (2_000_000, 1_250_000));
        assert_eq!((&openai.tiers, &openai.base_url), (&before.tiers, &before.base_url));
        let proxy = catalog.provider("proxy").unwrap();
        assert_eq!(proxy.auth, Auth::XApiKey);
        let headers = [("x-team", "blue"), ("anthropic-version", "2023-06-01")];
        for (name, value) in headers {
            assert!(proxy.headers.contains(&(name.to_owned(), value.to_owned())), "{name}");
        }
        assert_eq!(catalog.provider("groq"), Catalog::embedded().provider("groq"));
        assert_eq!(&Catalog::parse("").unwrap(), Catalog::embedded());
    }

    #[test]
    fn a_bad_file_says_where_and_what_helps() {
        let cases = [
            (
                "[openai]\nbase_ur = \"x\"",
                "line 2, column 1, key `base_ur`: unknown field `base_ur`, expected one of `like`",
            ),
            (
                "[openai]\nbase_url = \"example.com\"",
                "line 2, column 12, key `base_url`: `example.com` is no base URL; write it as",
            ),
            ("[openai]\nbase_url = \"https://k@h/v1\"", "is no base URL"),
            (
                "\n[x]\nauth = \"magic\"",
                "line 3, column 8, key `auth`: unknown variant `magic`, expected one of `bearer`",
            ),
            ("[x]\nbytes_per_token = 0", "`0` bytes per token is out of range"),
            ("[x]\nbytes_per_token = nan", "out of range"),
            (
                "[x.prices.m]\nas_of = \"soon\"\ninput = \"1\"\noutput = \"1\"",
                "line 2, column 9, key `as_of`: `soon` is no date; write it as",
            ),
            (
                "[x.prices.m]\nas_of = \"2026-01-01\"\ninput = 1.5\noutput = \"1\"",
                "line 3, column 9, key `input`: invalid type: floating point `1.5`, expected a string",
            ),
            ("[x.prices.m]\nas_of = \"2026-01-01\"\ninput = \"1\"", "missing field `output`"),
            (
                "[x.tiers.t]\nas_of = \"2026-01-01\"\nlimits = [{ models = [\"*\"], requests = \"many\" }]",
                "`many` names no window; write it as `50/min`",
            ),
            ("x = 1", "line 1, column 5, key `x`"),
            ("[x", "line 1"),
            (
                "[x]\nlike = \"y\"",
                "provider `x` is `like` `y`, which is not known; known are anthropic, azure",
            ),
            ("[x]\nlike = \"y\"\n[y]\nlike = \"x\"", "has a chain of `like` that does not end"),
        ];
        for (file, want) in cases {
            let said = Catalog::parse(file).unwrap_err().to_string();
            assert!(said.contains(want), "{file}\nsaid {said}\nwant {want}");
        }
    }

    proptest! {
        #[test]
        fn no_file_makes_it_panic(file in r#"(\[[a-z.]{1,8}\]\n|(like|dialect|base_url|env|prices) = |"[a-zé]{0,4}"|[{}\[\]=.,0-9\n]){0,20}"#) {
            let _ = Catalog::parse(&file);
        }
    }
}
