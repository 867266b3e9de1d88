//! What is probed for one endpoint when a person asks: the targets that the controller makes of it, whatever is ordered.

use std::sync::Arc;

use crate::control::ProbeOrder;
use crate::control::health::Target;
use crate::control::health::targets_of;
use crate::control::resolve::Resolutions;
use crate::health::Penalty;
use crate::model::CheckId;
use crate::model::Endpoint;
use crate::model::Model;
use crate::model::Resolved;
use crate::model::Verdict;

/// An address of an endpoint with all that is probed there.
#[derive(Clone, Debug, PartialEq)]
pub struct ByHand {
    /// The target, by the check that was asked for; not to be probed itself if that is made of others.
    pub target: ProbeOrder,
    /// What its check is made of, each once; nothing if it is probed itself.
    pub parts: Vec<ProbeOrder>,
}

/// The targets of an endpoint by a check; `resolved` are the addresses of its name, if it is one.
pub fn targets(
    model: &Model,
    endpoint: &Endpoint,
    check: CheckId,
    resolved: &Resolved,
) -> Vec<ByHand> {
    let mut names = Resolutions::default();
    if let Some(name) = endpoint.target() {
        names.restore(name.clone(), resolved.clone());
    }
    let order = |target: Target<'_>| ProbeOrder {
        check: Arc::new(target.check().into_owned()),
        address: target.address,
        key: target.key,
        verdict: Verdict::Unknown,
        degraded: 0,
        penalty: Penalty::default(),
    };
    let all = targets_of(model, endpoint, check, &names).into_iter();
    all.map(|target| ByHand {
        parts: target.parts(model).into_iter().map(order).collect(),
        target: order(target),
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::targets;
    use crate::config::Files;
    use crate::config::SourceFile;
    use crate::config::load;
    use crate::model::CheckId;
    use crate::model::Model;
    use crate::model::Resolved;

    fn model(pool: &str) -> Model {
        let text = format!(
            "[zone]\nname = \"x.test\"\nnameservers = [\"ns.example.net\"]\n\
             [check]\nweb = {{ kind = \"http\" }}\nping = {{ kind = \"icmp\" }}\n\
             both = {{ kind = \"all_of\", of = [\"web\", \"ping\"] }}\n\
             [pool.eu]\n{pool}\n[name.www]\nsteer = \"eu\"\n"
        );
        let (model, problems) = load(&Files::new(vec![SourceFile::new("zones/x.toml", &text)]));
        model.unwrap_or_else(|| panic!("{problems:?}"))
    }

    /// Check, address and port of all that is probed.
    fn probed(model: &Model, check: &str, resolved: &Resolved) -> Vec<String> {
        let id = model.checks.iter().position(|one| &*one.name == check).unwrap();
        let all = targets(model, &model.pools[0].endpoints[0], CheckId::at(id), resolved);
        let mut probed = Vec::new();
        for one in all {
            let orders = if one.parts.is_empty() { vec![one.target] } else { one.parts };
            probed.extend(orders.into_iter().map(|order| {
                format!("{} {} {}", order.key.check, order.address, order.check.port)
            }));
        }
        probed
    }

    #[test]
    fn parts_are_probed_at_each_address_and_differ_as_the_endpoint_differs() {
        let model = model(
            "check = \"both\"\nendpoint.a.addresses = [\"192.0.2.1\", \"2001:db8::1\"]\n\
             endpoint.a.probe.web = { port = 8080 }",
        );
        let none = Resolved::default();
        let all = [
            "web 192.0.2.1 8080",
            "ping 192.0.2.1 0",
            "web 2001:db8::1 8080",
            "ping 2001:db8::1 0",
        ];
        assert_eq!(probed(&model, "both", &none), all);
        assert_eq!(probed(&model, "ping", &none), ["ping 192.0.2.1 0", "ping 2001:db8::1 0"]);
    }

    #[test]
    fn a_disabled_endpoint_is_probed_by_hand_and_a_name_at_what_it_resolves_to() {
        let model = model(
            "check = \"web\"\nendpoint.a.alias = \"lb.example.net.\"\nendpoint.a.state = \"disabled\"",
        );
        let resolved = Resolved::of(["192.0.2.9".parse().unwrap()]);
        assert_eq!(probed(&model, "web", &resolved), ["web 192.0.2.9 80"]);
        assert!(probed(&model, "web", &Resolved::default()).is_empty());
    }
}
