use super::*;

fn check_asked(head: &str, expected: Result<(&str, u16), Refused>) {
    assert_eq!(asked(head), expected.map(|(host, port)| (host.to_owned(), port)), "{head}");
}

#[test]
fn only_a_plain_connect_is_understood() {
    check_asked("CONNECT a.example:443 HTTP/1.1\r\nHost: x\r\n\r\n", Ok(("a.example", 443)));
    check_asked("CONNECT [::1]:80 HTTP/1.1\r\n\r\n", Ok(("::1", 80)));
    check_asked("GET http://a.example/ HTTP/1.1\r\n\r\n", Err(Refused::Method));
    for odd in [
        "CONNECT a.example HTTP/1.1",
        "CONNECT a.example:0 HTTP/1.1",
        "CONNECT a.example:99999 HTTP/1.1",
        "CONNECT :443 HTTP/1.1",
        "CONNECT user@a.example:443 HTTP/1.1",
        "CONNECT a.example/x:443 HTTP/1.1",
        "CONNECT [::1:443 HTTP/1.1",
        "CONNECT  a.example:443 HTTP/1.1",
        "CONNECT a.example:443 HTTP/2",
        "",
    ] {
        check_asked(odd, Err(Refused::Request));
    }
}

fn check_leads(rule: &str, address: &str, expected: bool) {
    let address: SocketAddr = address.parse().unwrap();
    assert_eq!(may_lead_to(&rule.parse().unwrap(), &address), expected, "{rule} to {address}");
}

#[test]
fn a_name_leads_to_public_addresses_only() {
    check_leads("api.example.com", "93.184.216.34:443", true);
    check_leads("api.example.com", "127.0.0.1:443", false);
    check_leads("api.example.com", "169.254.169.254:443", false);
    check_leads("*.example.com", "10.0.0.1:443", false);
    check_leads("localhost", "127.0.0.1:443", true);
    check_leads("localhost", "10.0.0.1:443", false);
    check_leads("10.0.0.1", "10.0.0.1:443", true);
    check_leads("10.0.0.1", "10.0.0.2:443", false);
}

/// What a program hears that sends `request` through a proxy to `hosts`.
async fn say(hosts: &[&str], request: &str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let hosts = hosts.iter().map(|host| host.parse().unwrap()).collect();
    let proxy = Proxy { server: "x".to_owned(), hosts };
    let serving = async {
        let (client, _) = listener.accept().await.unwrap();
        proxy.relay(client).await;
    };
    let asking = async {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    };
    tokio::join!(serving, asking).1
}

/// A host that says what it hears, in capitals.
async fn shouting() -> (u16, tokio::task::JoinSet<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut heard = String::new();
            stream.read_to_string(&mut heard).await.unwrap();
            stream.write_all(heard.to_uppercase().as_bytes()).await.unwrap();
        }
    });
    (port, tasks)
}

#[tokio::test]
async fn an_allowed_host_is_reached_and_what_was_said_early_arrives() {
    let (port, _tasks) = shouting().await;
    let request = format!("CONNECT 127.0.0.1:{port} HTTP/1.1\r\n\r\nearly");
    let answer = say(&[&format!("127.0.0.1:{port}")], &request).await;
    assert_eq!(answer, "HTTP/1.1 200 Connection Established\r\n\r\nEARLY");
}

#[tokio::test]
async fn every_other_host_is_refused_with_its_name() {
    let answer = say(&["api.example.com"], "CONNECT evil.example:443 HTTP/1.1\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 403 Forbidden\r\n"), "{answer}");
    assert!(answer.ends_with("`evil.example` at port 443 is not among the hosts that `net` allows"), "{answer}");
}

#[tokio::test]
async fn a_name_of_this_machine_does_not_lead_into_it() {
    // Looked up like any other; what it leads to decides.
    let answer = say(&["*.localhost:80"], "CONNECT a.localhost:80 HTTP/1.1\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 403") || answer.starts_with("HTTP/1.1 502"), "{answer}");
}

#[tokio::test]
async fn a_request_without_end_is_refused() {
    let answer = say(&["a.example"], &"x".repeat(HEAD)).await;
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
}
