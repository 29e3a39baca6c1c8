//! What may be reached, by address.

use super::*;

#[track_caller]
fn check(own: &str, url: &str, may: bool) {
    let net = Net::new(own.parse().unwrap());
    let verdict = net.check(&url.parse().unwrap());
    assert_eq!(verdict.is_ok(), may, "{own} -> {url}: {verdict:?}");
}

const FAR: &str = "https://mcp.example.com/mcp";
const HERE: &str = "http://127.0.0.1:8000/mcp";

#[test]
fn a_server_far_away_leads_to_public_places_only() {
    for url in
        ["https://login.example.com/x", "https://8.8.8.8/x", "https://[2606:4700::1]/", "https://[::ffff:8.8.8.8]/"]
    {
        check(FAR, url, true);
    }
    for url in [
        "http://login.example.com/x",
        "http://2852039166/",
        "https://2852039166/",
        "https://0x7f.1/",
        "https://0177.0.0.1/",
        "https://127.0.0.1/",
        "https://localhost/",
        "https://10.1.2.3/",
        "https://172.20.0.1/",
        "https://192.168.1.1/",
        "https://169.254.169.254/latest/meta-data",
        "https://100.100.100.200/",
        "https://0.0.0.0/",
        "https://224.0.0.1/",
        "https://255.255.255.255/",
        "https://[::1]/",
        "https://[::]/",
        "https://[::ffff:169.254.169.254]/",
        "https://[64:ff9b::a9fe:a9fe]/",
        "https://[2002:a9fe:a9fe::1]/",
        "https://[2001:0:1::1]/",
        "https://[fd00:ec2::254]/",
        "https://[fe80::1]/",
        "https://[ff02::1]/",
        "javascript:alert(1)",
        "file:///etc/passwd",
        "ftp://example.com/",
    ] {
        check(FAR, url, false);
    }
}

#[test]
fn a_server_on_this_machine_may_name_others_on_it_but_nothing_else_private() {
    for url in ["http://127.0.0.1:9/x", "http://localhost:9/", "http://[::1]:9/", "https://login.example.com/"] {
        check(HERE, url, true);
    }
    for url in ["http://10.0.0.1/", "https://10.0.0.1/", "http://169.254.169.254/", "http://example.com/"] {
        check(HERE, url, false);
    }
}

#[test]
fn a_server_of_the_own_network_may_name_itself() {
    check("https://10.0.0.5/mcp", "https://10.0.0.5/token", true);
    check("https://10.0.0.5/mcp", "https://10.0.0.5:8443/token", false);
    check("https://10.0.0.5/mcp", "https://10.0.0.6/token", false);
    check("http://10.0.0.5/mcp", "http://10.0.0.5/token", false);
}

#[tokio::test]
async fn a_name_that_leads_home_is_refused_after_it_was_resolved() {
    let resolver = |loopback, any| Checked { loopback, any }.resolve("localhost".parse().unwrap());
    assert!(resolver(false, false).await.is_err());
    assert!(resolver(true, false).await.is_ok());
    assert!(resolver(false, true).await.is_ok());
}
