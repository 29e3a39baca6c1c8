//! What a tool can do: the operator's word first, then the claims of its server, then the words of its name.
//! A claim that tightens always counts; one that loosens only if the server is trusted.

use super::model::{Class, Declared, ServerRules};
use super::pattern::{Pattern, matches};
use crate::catalog::Item;
use crate::words::ItemKind;
use std::fmt;

/// Words of money, permissions, customer records and production.
const WEIGHTY: [&str; 47] = [
    "refund",
    "refunds",
    "pay",
    "payment",
    "payments",
    "payout",
    "payouts",
    "transfer",
    "transfers",
    "charge",
    "charges",
    "withdraw",
    "withdrawal",
    "purchase",
    "buy",
    "invoice",
    "invoices",
    "billing",
    "wire",
    "funds",
    "salary",
    "payroll",
    "permission",
    "permissions",
    "role",
    "roles",
    "acl",
    "grant",
    "revoke",
    "access",
    "privilege",
    "privileges",
    "admin",
    "sudo",
    "iam",
    "customer",
    "customers",
    "patient",
    "patients",
    "account",
    "accounts",
    "crm",
    "deploy",
    "deployment",
    "prod",
    "production",
    "dns",
];

/// Words that end or undo what runs in production.
const HALTING: [&str; 3] = ["rollback", "terminate", "shutdown"];

/// Verbs of reading. A tool whose name begins with one is not of high impact by its words.
const READING: [&str; 36] = [
    "get",
    "list",
    "read",
    "search",
    "find",
    "show",
    "describe",
    "fetch",
    "query",
    "count",
    "check",
    "view",
    "lookup",
    "status",
    "browse",
    "inspect",
    "preview",
    "explain",
    "summarize",
    "summarise",
    "analyze",
    "analyse",
    "validate",
    "verify",
    "retrieve",
    "compare",
    "estimate",
    "calculate",
    "compute",
    "monitor",
    "watch",
    "is",
    "has",
    "ping",
    "stat",
    "download",
];

/// Why a tool is of high impact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum HighImpact {
    Declared,
    Managed(String),
    Listed(String),
    Word(String),
}

impl fmt::Display for HighImpact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Declared => f.write_str("the operator says so"),
            Self::Managed(pattern) => write!(f, "it fits `{pattern}` of the managed list"),
            Self::Listed(pattern) => write!(f, "it fits `{pattern}` of the operator's list"),
            Self::Word(word) => write!(f, "`{word}` stands in its name"),
        }
    }
}

/// The patterns that make a tool one of high impact.
#[derive(Debug)]
pub(super) struct Listed {
    managed: Vec<(String, Pattern)>,
    operator: Vec<(String, Pattern)>,
}

impl Listed {
    pub(super) fn new(managed: &[String], operator: &[String]) -> Self {
        let patterns = |texts: &[String]| texts.iter().map(|text| (text.clone(), Pattern::new(text))).collect();
        Self { managed: patterns(managed), operator: patterns(operator) }
    }
}

/// What an item can do, and what it was judged by.
#[derive(Debug)]
pub(super) struct Weighed {
    pub(super) class: Class,
    /// Neither destructive nor open to the world, by a server that is believed.
    pub(super) harmless: bool,
    pub(super) high: Option<HighImpact>,
}

/// What `item` can do. Whatever is no tool only reads.
pub(super) fn weigh(item: &Item, rules: &ServerRules, listed: &Listed) -> Weighed {
    if item.kind != ItemKind::Tool {
        return Weighed { class: Class { read_only: true, high_impact: false }, harmless: true, high: None };
    }
    let declared = declared(rules, &item.raw);
    let by_operator = || match declared.high_impact {
        Some(false) => None,
        Some(true) => Some(HighImpact::Declared),
        None => {
            let listed = fitting(&listed.operator, &item.raw).map(HighImpact::Listed);
            listed.or_else(|| by_words(item.server.as_str(), &item.raw))
        }
    };
    let high = fitting(&listed.managed, &item.raw).map(HighImpact::Managed).or_else(by_operator);
    let facts = item.facts;
    let claimed = rules.trusted && facts.read_only == Some(true) && facts.destructive != Some(true);
    let read_only = declared.read_only.unwrap_or(claimed);
    let harmless = rules.trusted && facts.destructive == Some(false) && facts.open_world == Some(false);
    Weighed { class: Class { read_only, high_impact: high.is_some() }, harmless, high }
}

/// For each question the first entry that fits and answers it counts: an entry about something else takes nothing back.
fn declared(rules: &ServerRules, tool: &str) -> Declared {
    let fitting = || rules.declared.iter().filter(|(pattern, _)| matches(pattern, tool)).map(|(_, said)| said);
    Declared {
        read_only: fitting().find_map(|said| said.read_only),
        high_impact: fitting().find_map(|said| said.high_impact),
    }
}

fn fitting(listed: &[(String, Pattern)], tool: &str) -> Option<String> {
    listed.iter().find(|(_, pattern)| pattern.fits(tool)).map(|(text, _)| text.clone())
}

/// Leading words that are the server's own name are no verbs: `stripe_list_customers` reads.
fn by_words(server: &str, tool: &str) -> Option<HighImpact> {
    let (own, words) = (tokens(server), tokens(tool));
    let verb = words.iter().find(|word| !own.contains(word)).or(words.first())?;
    if READING.contains(&verb.as_str()) {
        return None;
    }
    let weighty = |word: &&String| WEIGHTY.contains(&word.as_str()) || HALTING.contains(&word.as_str());
    words.iter().find(weighty).map(|word| HighImpact::Word(word.clone()))
}

/// The words of a name in lower case: cut at what is no letter or digit, and where camel case begins a new one.
fn tokens(name: &str) -> Vec<String> {
    let characters: Vec<char> = name.chars().collect();
    let (mut words, mut word) = (Vec::new(), String::new());
    for (at, c) in characters.iter().enumerate() {
        let starts = c.is_uppercase() && {
            let after_small = at > 0 && !characters[at - 1].is_uppercase();
            after_small || characters.get(at + 1).is_some_and(|next| next.is_lowercase())
        };
        if (starts || !c.is_alphanumeric()) && !word.is_empty() {
            words.push(std::mem::take(&mut word));
        }
        if c.is_alphanumeric() {
            word.extend(c.to_lowercase());
        }
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Facts;

    #[test]
    fn names_fall_into_words() {
        for (name, want) in [
            ("refundPayment", "refund payment"),
            ("HTTPServer2Go", "http server2 go"),
            ("git_commit", "git commit"),
            ("a.b-c/d", "a b c d"),
            ("DNSRecord", "dns record"),
            ("setIAM", "set iam"),
            ("", ""),
        ] {
            assert_eq!(tokens(name).join(" "), want);
        }
    }

    fn word_of(server: &str, tool: &str) -> Option<String> {
        match by_words(server, tool) {
            Some(HighImpact::Word(word)) => Some(word),
            _ => None,
        }
    }

    #[test]
    fn what_moves_money_rights_records_or_production_weighs() {
        for (tool, word) in [
            ("refund_payment", "refund"),
            ("createRefund", "refund"),
            ("transfer-funds", "transfer"),
            ("set_user_role", "role"),
            ("grantAccess", "grant"),
            ("delete_customer", "customer"),
            ("crm.update", "crm"),
            ("deploy_to_prod", "deploy"),
            ("force_terminate", "terminate"),
            ("update_DNS_record", "dns"),
            ("PayInvoice", "pay"),
        ] {
            assert_eq!(word_of("s", tool).as_deref(), Some(word), "{tool}");
        }
    }

    #[test]
    fn what_reads_and_what_everybody_has_does_not() {
        let tools = "get_customer list_accounts searchPayments read_file read_text_file read_media_file \
            read_multiple_files write_file edit_file create_directory list_directory list_directory_with_sizes \
            directory_tree move_file search_files get_file_info list_allowed_directories git_status \
            git_diff_unstaged git_diff_staged git_diff git_commit git_add git_reset git_log git_create_branch \
            git_checkout git_show git_branch create_entities create_relations add_observations delete_entities \
            delete_observations delete_relations read_graph search_nodes open_nodes query echo add \
            longRunningOperation printEnv sampleLLM getTinyImage annotatedMessage getResourceReference \
            startElicitation structuredContent create_issue create_or_update_file push_files fork_repository \
            create_pull_request merge_pull_request add_issue_comment slack_post_message slack_reply_to_thread \
            slack_add_reaction slack_get_users fetch sequentialthinking puppeteer_click browser_navigate \
            brave_web_search get_current_time convert_time shell apply_patch execute_sql";
        for tool in tools.split_whitespace() {
            assert_eq!(word_of("s", tool), None, "{tool}");
        }
        assert_eq!(word_of("my-stripe", "stripe_list_customers"), None);
        assert_eq!(word_of("other", "stripe_list_customers").as_deref(), Some("customers"));
        assert_eq!(word_of("payments", "payments").as_deref(), Some("payments"));
    }

    fn check(rules: &ServerRules, facts: [Option<bool>; 3], read_only: bool, harmless: bool) {
        let [read, destructive, open_world] = facts;
        let item = Item::for_test("s", "t", Facts { read_only: read, destructive, open_world });
        let weighed = weigh(&item, rules, &Listed::new(&[], &[]));
        assert_eq!((weighed.class.read_only, weighed.harmless), (read_only, harmless), "{facts:?}");
    }

    #[test]
    fn claims_loosen_only_for_trusted_servers_and_the_operator_is_stronger() {
        let trusted = ServerRules { trusted: true, ..ServerRules::default() };
        let said = |read_only| {
            let declared = Declared { read_only: Some(read_only), high_impact: None };
            ServerRules { declared: vec![("t*".to_owned(), declared)], ..trusted.clone() }
        };
        let reads = [Some(true), None, None];
        let both = [Some(true), Some(true), None];
        let mild = [Some(false), Some(false), Some(false)];
        check(&trusted, reads, true, false);
        check(&trusted, both, false, false);
        check(&trusted, mild, false, true);
        check(&trusted, [None, Some(false), None], false, false);
        check(&ServerRules::default(), reads, false, false);
        check(&ServerRules::default(), mild, false, false);
        check(&said(true), both, true, false);
        check(&said(false), reads, false, false);
    }

    #[test]
    fn the_operators_word_alone_takes_a_tool_out_of_high_impact() {
        let listed = Listed::new(&["wipe".to_owned()], &["sen?_*".to_owned()]);
        let of = |tool: &str, declared: Option<bool>| {
            let said = Declared { read_only: None, high_impact: declared };
            let rules = ServerRules { trusted: true, declared: vec![("*".to_owned(), said)], ..ServerRules::default() };
            let facts = Facts { read_only: Some(true), ..Facts::default() };
            weigh(&Item::for_test("s", tool, facts), &rules, &listed).class.high_impact
        };
        assert!(of("pay", None) && of("send_mail", None) && of("x", Some(true)));
        assert!(of("wipe", Some(false)), "the managed list is stronger");
        assert!(!of("pay", Some(false)) && !of("send_mail", Some(false)) && !of("x", None));
    }
}
