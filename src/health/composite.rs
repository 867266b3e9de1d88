//! Verdicts of checks that are made of others: computed from those of their parts, never voted on.

use crate::model::CheckId;
use crate::model::CheckKind;
use crate::model::Composite;
use crate::model::Model;
use crate::model::Verdict;

/// How good a verdict is against another. Unknown is served like up, and better than what passes but has to wait.
pub fn rank(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::Up => 3,
        Verdict::Unknown => 2,
        Verdict::Held => 1,
        Verdict::Down => 0,
    }
}

/// The verdict of a check, from those of its parts; `leaf` gives that of a check that is probed.
///
/// The `need`-th best of its parts decides, or the worst of those that must pass if that is worse: so of three parts of
/// which two must pass, one may be down. Deterministic, and without memory. The check must not be made of itself.
pub fn verdict_of(model: &Model, check: CheckId, leaf: &impl Fn(CheckId) -> Verdict) -> Verdict {
    let known = &model.checks[check.index()];
    let CheckKind::Composite(Composite { of, need, must }) = &known.kind else {
        return leaf(check);
    };
    let mut all: Vec<Verdict> = of.iter().map(|part| verdict_of(model, *part, leaf)).collect();
    all.sort_by_key(|verdict| std::cmp::Reverse(rank(*verdict)));
    let enough = all.get(need.saturating_sub(1)).copied().unwrap_or(Verdict::Unknown);
    let musts = must.iter().map(|part| verdict_of(model, *part, leaf));
    let verdict = musts.chain([enough]).min_by_key(|verdict| rank(*verdict)).unwrap_or(enough);
    if known.invert { inverted(verdict) } else { verdict }
}

/// The opposite. What waits for the end of hold-down passes, so its opposite fails.
fn inverted(verdict: Verdict) -> Verdict {
    match verdict {
        Verdict::Up | Verdict::Held => Verdict::Down,
        Verdict::Down => Verdict::Up,
        Verdict::Unknown => Verdict::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Files;
    use crate::config::SourceFile;
    use crate::config::load;
    use Verdict::*;

    /// Verdicts of checks a, b and c, and what the check `all` made of them is then.
    fn judge(all: &str, cases: &[([Verdict; 3], Verdict)]) {
        let text = format!(
            "[zone]\nname = \"x.test\"\nnameservers = [\"ns.example.net\"]\n\
             [check]\na.kind = \"icmp\"\nb.kind = \"icmp\"\nc.kind = \"icmp\"\n\
             [pool.p]\ncheck = \"all\"\nendpoint.a.addresses = [\"192.0.2.1\"]\n\
             [name.www]\nsteer = \"p\"\n{all}"
        );
        let (model, problems) = load(&Files::new(vec![SourceFile::new("zones/a.toml", &text)]));
        let model = model.unwrap_or_else(|| panic!("{problems:?}"));
        let id = model.pools[0].check.unwrap();
        for (verdicts, wanted) in cases {
            let leaf = |id: CheckId| match &*model.checks[id.index()].name {
                "a" => verdicts[0],
                "b" => verdicts[1],
                _ => verdicts[2],
            };
            assert_eq!(verdict_of(&model, id, &leaf), *wanted, "{all}: {verdicts:?}");
        }
    }

    #[test]
    fn all_of_is_as_good_as_its_worst_part() {
        judge(
            "[check.all]\nkind = \"all_of\"\nof = [\"a\", \"b\", \"c\"]\n",
            &[
                ([Up, Up, Up], Up),
                ([Up, Down, Up], Down),
                ([Up, Held, Up], Held),
                ([Up, Up, Unknown], Unknown),
                ([Unknown, Down, Up], Down),
            ],
        );
    }

    #[test]
    fn any_of_is_as_good_as_its_best_part() {
        judge(
            "[check.all]\nkind = \"any_of\"\nof = [\"a\", \"b\", \"c\"]\n",
            &[
                ([Down, Down, Up], Up),
                ([Down, Down, Down], Down),
                ([Down, Held, Down], Held),
                ([Down, Unknown, Held], Unknown),
            ],
        );
    }

    #[test]
    fn at_least_counts_and_what_must_pass_must_in_any_case() {
        judge(
            "[check.all]\nkind = \"at_least\"\nn = 2\nof = [\"a\", \"b\", \"c\"]\nmust = [\"a\"]\n",
            &[
                ([Up, Down, Up], Up),
                ([Up, Down, Down], Down),
                ([Down, Up, Up], Down),
                ([Up, Held, Down], Held),
                ([Held, Up, Up], Held),
            ],
        );
    }

    #[test]
    fn parts_may_be_made_of_parts_and_be_turned_round() {
        judge(
            "[check.some]\nkind = \"any_of\"\nof = [\"b\", \"c\"]\n\
             [check.not-some]\nkind = \"any_of\"\nof = [\"some\"]\ninvert = true\n\
             [check.all]\nkind = \"all_of\"\nof = [\"a\", \"not-some\"]\n",
            &[
                ([Up, Down, Down], Up),
                ([Up, Up, Down], Down),
                ([Up, Held, Down], Down),
                ([Up, Unknown, Down], Unknown),
                ([Down, Down, Down], Down),
            ],
        );
    }
}
