use super::*;

fn parse(args: &[&str]) -> Option<Order> {
    Order::parse(args.iter().map(OsString::from))
}

#[test]
fn an_order_is_read_as_it_was_written() {
    let order = parse(&["77", "250", "--", "sh", "--", "-c"]).unwrap();
    assert_eq!(order.owner.as_raw_nonzero().get(), 77);
    assert_eq!(order.grace, Duration::from_millis(250));
    assert_eq!((order.program, order.args), ("sh".into(), vec!["--".into(), "-c".into()]));
}

#[test]
fn half_an_order_is_none() {
    for args in ["", "7 250", "7 250 --", "7 x -- sh", "0 250 -- sh", "-7 250 -- sh", "7 250 sh --"] {
        let words: Vec<_> = args.split_whitespace().collect();
        assert!(parse(&words).is_none(), "{args}");
    }
}
