use super::*;

fn listed(kind: ItemKind, raw: &str) -> Listed {
    let definition = format!(r#"{{"x-first":1,"name":"{raw}","description":"d"}}"#);
    let start = definition.find(":\"").expect("a name") as u32 + 1;
    let name_at = Place { start, end: start + raw.len() as u32 + 2 };
    Listed { kind, raw: raw.into(), definition: definition.into(), name_at, facts: Facts::default() }
}

fn catalog(naming: Naming, servers: &[(&str, &[&str])]) -> Catalog {
    let catalog = Catalog::new(servers.iter().map(|(name, _)| (*name).into()).collect(), naming);
    let offers = servers.iter().map(|(name, tools)| {
        let listed = tools.iter().map(|tool| listed(ItemKind::Tool, tool)).collect();
        ((*name).into(), Arc::new(Offer { listed, ..Offer::default() }))
    });
    catalog.publish(offers.collect());
    catalog
}

fn exposed(catalog: &Catalog) -> Vec<String> {
    catalog.items(&Face::All, ItemKind::Tool).1.iter().map(|item| item.exposed.to_string()).collect()
}

fn resolve(catalog: &Catalog, face: &Face, name: &str) -> String {
    match catalog.resolve(face, &Target::Tool(name.into())) {
        Ok(item) => format!("{}/{}", item.server, item.raw),
        Err(refusal) => refusal.to_string(),
    }
}

fn style(prefix: PrefixStyle) -> Naming {
    Naming { prefix, ..Naming::default() }
}

#[test]
fn every_style_of_name_finds_the_tool() {
    let catalog =
        catalog(Naming::default(), &[("github", &["list_issues", "a.b"]), ("x", &["y__z"]), ("x__y", &["w"])]);
    assert_eq!(exposed(&catalog), ["github__list_issues", "github__a_b", "x__y__z", "x__y__w"]);
    for (name, want) in [
        ("github__list_issues", "github/list_issues"),
        ("mcp__github__list_issues", "github/list_issues"),
        ("list_issues", "github/list_issues"),
        ("github__a.b", "github/a.b"),
        ("mcp__github__a_b", "github/a.b"),
        ("x__y__z", "x/y__z"),
        ("x__y__w", "x__y/w"),
        ("github__nothing", "unknown tool: github__nothing"),
    ] {
        assert_eq!(resolve(&catalog, &Face::All, name), want);
    }
}

#[test]
fn a_face_of_one_server_knows_no_other() {
    let catalog = catalog(Naming::default(), &[("a", &["t"]), ("b", &["u"])]);
    let only = Face::Only("a".into());
    assert_eq!(resolve(&catalog, &only, "t"), "a/t");
    assert_eq!(resolve(&catalog, &only, "a__t"), "a/t");
    assert_eq!(resolve(&catalog, &only, "u"), "unknown tool: u");
    assert_eq!(resolve(&catalog, &only, "b__u"), "unknown tool: b__u");
}

#[test]
fn a_name_for_two_things_is_an_error_that_names_both() {
    let catalog = catalog(Naming::default(), &[("a", &["t"]), ("b", &["t"])]);
    assert_eq!(resolve(&catalog, &Face::All, "t"), "`t` is ambiguous: it names both `a__t` and `b__t`");
}

#[test]
fn colliding_and_long_names_are_marked_and_stay_reachable() {
    let long = "n".repeat(80);
    let names = catalog(Naming::default(), &[("s", &["a.b", "a_b", &long])]);
    let got = exposed(&names);
    assert!(got.iter().all(|name| name.len() <= 64), "{got:?}");
    assert!(got[0] != got[1] && got[0].starts_with("s__a_b_") && got[1].starts_with("s__a_b_"), "{got:?}");
    for (name, raw) in got.iter().zip(["a.b", "a_b", &long]) {
        assert_eq!(resolve(&names, &Face::All, name), format!("s/{raw}"));
    }
    assert_eq!(got, exposed(&catalog(Naming::default(), &[("s", &["a.b", "a_b", &long])])), "stable over restarts");
}

#[test]
fn prefixes_follow_the_operator() {
    let servers: &[(&str, &[&str])] = &[("a", &["t", "own"]), ("b", &["t"])];
    assert_eq!(exposed(&catalog(style(PrefixStyle::Conditional), servers)), ["a__t", "own", "b__t"]);
    let never = exposed(&catalog(style(PrefixStyle::Never), servers));
    assert!(
        never[0].starts_with("t_") && never[1] == "own" && never[2].starts_with("t_") && never[0] != never[2],
        "{never:?}"
    );
    let mcp = Naming { mcp_prefix: true, ..Naming::default() };
    assert_eq!(exposed(&catalog(mcp, servers)), ["mcp__a__t", "mcp__a__own", "mcp__b__t"]);
}

#[test]
fn only_the_name_of_a_definition_changes() {
    let catalog = catalog(Naming::default(), &[("s", &["t"])]);
    let item = catalog.resolve(&Face::All, &Target::Tool("t".into())).expect("there");
    let shown = |face: &Face| {
        let mut out = Vec::new();
        item.define(face, &mut out);
        String::from_utf8(out).expect("text")
    };
    assert_eq!(shown(&Face::All), r#"{"x-first":1,"name":"s__t","description":"d"}"#);
    assert_eq!(shown(&Face::Only("s".into())), r#"{"x-first":1,"name":"t","description":"d"}"#);
}

#[test]
fn the_owner_of_a_uri_is_found() {
    let catalog = Catalog::new(vec!["a".into(), "b".into()], Naming::default());
    let offer = |items: &[(ItemKind, &str)]| {
        let listed = items.iter().map(|(kind, raw)| listed(*kind, raw)).collect();
        Arc::new(Offer { listed, serves_resources: true, ..Offer::default() })
    };
    catalog.publish(vec![("a".into(), offer(&[(ItemKind::Resource, "file:///x")]))]);
    let owner = |catalog: &Catalog, uri: &str| match catalog.resolve(&Face::All, &Target::Resource(uri.into())) {
        Ok(item) => item.server.to_string(),
        Err(refusal) => refusal.to_string(),
    };
    assert_eq!(owner(&catalog, "other://never-listed"), "a", "the only server with resources is asked");
    catalog.publish(vec![("b".into(), offer(&[(ItemKind::Template, "db://{table}/row")]))]);
    assert_eq!(owner(&catalog, "file:///x"), "a");
    assert_eq!(owner(&catalog, "db://users/row"), "b");
    assert_eq!(owner(&catalog, "db://users/rows"), "unknown resource: db://users/rows");
}

#[test]
fn uri_templates_fit_what_they_expand_to() {
    for (template, uri, want) in [
        ("test://template/{id}/data", "test://template/123/data", true),
        ("test://template/{id}/data", "test://template/1/2/data", false),
        ("test://template/{id}/data", "test://template//data", false),
        ("file:///{+path}", "file:///a/b/c", true),
        ("x://{a}{?q}", "x://v?q=1", true),
        ("x://{a}{?q}", "x://v", true),
        ("x://fixed", "x://fixed", true),
        ("x://{unclosed", "x://a", false),
    ] {
        assert_eq!(index::fits(template, uri), want, "{template} {uri}");
    }
}

#[test]
fn a_template_takes_no_longer_than_its_length() {
    // Followed way by way, this would not end.
    let template = format!("x:{}y", "{+a}".repeat(30));
    assert!(!index::fits(&template, &format!("x:{}", "a/".repeat(900))));
    assert!(index::fits(&template, &format!("x:{}y", "a/".repeat(900))));
    assert!(!index::fits(&"{a}".repeat(1_000), &"a".repeat(1_000)), "too many expressions");
}

#[test]
fn no_server_takes_a_name_that_reads_as_another_ones() {
    for prefix in [PrefixStyle::Always, PrefixStyle::Conditional, PrefixStyle::Never] {
        // `fs` and `a.b` are configured and were never seen.
        let catalog = Catalog::new(vec!["fs".into(), "a.b".into(), "evil".into()], style(prefix));
        let tools = ["fs__read", "mcp__fs__read", "a_b__t", "evil__own", "other__tool"];
        let offer = Offer { listed: tools.map(|tool| listed(ItemKind::Tool, tool)).into(), ..Offer::default() };
        catalog.publish(vec![("evil".into(), Arc::new(offer))]);
        for tool in ["fs__read", "mcp__fs__read", "a_b__t"] {
            assert_eq!(resolve(&catalog, &Face::All, tool), format!("unknown tool: {tool}"), "{prefix:?}");
            assert_eq!(resolve(&catalog, &Face::All, &format!("evil__{tool}")), format!("evil/{tool}"));
        }
        assert_eq!(resolve(&catalog, &Face::All, "other__tool"), "evil/other__tool");
        assert_eq!(resolve(&catalog, &Face::All, "evil__own"), "evil/evil__own");
    }
}

proptest::proptest! {
    #[test]
    fn exposed_names_are_unique_legal_and_lead_home(
        tools in proptest::collection::vec(proptest::collection::hash_set("[a-cA-C._-]{1,4}|[ab]{70}", 1..5), 1..4),
        prefix in 0..3usize,
    ) {
        let names: Vec<String> = (0..tools.len()).map(|n| format!("s{n}")).collect();
        let lists: Vec<Vec<&str>> = tools.iter().map(|set| set.iter().map(String::as_str).collect()).collect();
        let servers: Vec<(&str, &[&str])> = names.iter().zip(&lists).map(|(n, l)| (n.as_str(), l.as_slice())).collect();
        let prefix = [PrefixStyle::Always, PrefixStyle::Conditional, PrefixStyle::Never][prefix];
        let catalog = catalog(style(prefix), &servers);
        let (_, items) = catalog.items(&Face::All, ItemKind::Tool);
        let mut seen = std::collections::HashSet::new();
        for item in &items {
            proptest::prop_assert!(seen.insert(item.exposed.clone()), "{} twice", item.exposed);
            proptest::prop_assert!(item.exposed.len() <= 64);
            proptest::prop_assert!(item.exposed.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-'));
            proptest::prop_assert_eq!(resolve(&catalog, &Face::All, &item.exposed), format!("{}/{}", item.server, item.raw));
        }
    }
}
