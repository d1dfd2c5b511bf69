//! Puts all mutants of a file into it at once, each behind the question whether it is on.
//!
//! What a mutant changes is there twice, as it was and changed. The changed half has no other mutant in it, as only one is
//! on at a time; so the text grows with the number of mutants, not with their depth.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::ops::Range;

use syn::spanned::Spanned as _;
use syn::visit::{self, Visit};

use crate::list::{Genre, Mutant, Place};

/// A place in the text where something is put.
enum Site {
    /// Before the first word of a function's body: what it returns instead.
    Body(Vec<(usize, String)>),
    /// An expression of two operands, the range of its operator, and the other operators.
    Binary(Range<usize>, Vec<(usize, String)>),
    /// An expression with one operator, and the range of its operand.
    Unary(Range<usize>, usize),
    /// The guard of a match arm: what it is instead.
    Guard(Vec<(usize, &'static str)>),
    /// Behind the pattern of a match arm without guard: the arm is not there.
    Arm(usize),
}

/// Outer sites come before those within them: a body before its first expression, a guard before the expression it is.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Order {
    start: usize,
    rank: u8,
    end: Reverse<usize>,
    inner: bool,
}

/// The text with these mutants in it, and which of them are: some are in what the compiler works out.
pub(crate) fn weave(text: &str, mutants: &[(usize, &Mutant)]) -> (String, Vec<usize>) {
    let file = syn::parse_file(text).expect("a source that compiles");
    let mut finder = Finder {
        text,
        mutants,
        sites: BTreeMap::new(),
        woven: Vec::new(),
    };
    finder.visit_file(&file);
    for &(number, mutant) in mutants {
        if mutant.genre == Genre::FnValue {
            let at = finder.offset(mutant.span.start);
            let place = Order {
                start: at,
                rank: 0,
                end: Reverse(at),
                inner: false,
            };
            let body = finder
                .sites
                .entry(place)
                .or_insert_with(|| Site::Body(Vec::new()));
            if let Site::Body(values) = body {
                values.push((number, mutant.replacement.clone()));
                finder.woven.push(number);
            }
        }
    }
    let mut out = String::new();
    let sites: Vec<_> = finder
        .sites
        .iter()
        .map(|(place, site)| (place.start..place.end.0, site))
        .collect();
    write(&mut out, text, 0..text.len(), &sites);
    (out, finder.woven)
}

/// Writes a range of the text with all sites that are within it; these are sorted by start, the longer ones first.
fn write(out: &mut String, text: &str, range: Range<usize>, sites: &[(Range<usize>, &Site)]) {
    let mut at = range.start;
    for (index, (site, kind)) in sites.iter().enumerate() {
        if site.start < at || site.end > range.end || site.start >= range.end {
            continue;
        }
        out.push_str(&text[at..site.start]);
        at = site.end;
        let inner = &sites[index + 1..];
        let raw = |range: Range<usize>| &text[range];
        match kind {
            Site::Body(values) => {
                for (number, value) in values {
                    mark(
                        out,
                        *number,
                        &format!("if crate::mutant::is({number}) {{ return {value}; }}"),
                    );
                }
            }
            Site::Binary(operator, others) => {
                out.push('(');
                let (left, right) = (site.start..operator.start, operator.end..site.end);
                for (number, other) in others {
                    let (left, right) = (raw(left.clone()), raw(right.clone()));
                    instead(out, *number, &format!("{left}{other}{right}"));
                }
                out.push('{');
                write(out, text, left, inner);
                out.push_str(raw(operator.clone()));
                write(out, text, right, inner);
                out.push_str("})");
            }
            Site::Unary(operand, number) => {
                out.push('(');
                let without = raw(operand.clone());
                instead(out, *number, without);
                out.push('{');
                out.push_str(&text[site.start..operand.start]);
                write(out, text, operand.clone(), inner);
                out.push_str("})");
            }
            Site::Guard(others) => {
                for (number, other) in others {
                    instead(out, *number, other);
                }
                out.push_str("{(");
                write(out, text, site.clone(), inner);
                out.push_str(")}");
            }
            Site::Arm(number) => mark(out, *number, &format!(" if !crate::mutant::is({number})")),
        }
    }
    out.push_str(&text[at..range.end]);
}

/// What there is instead, if this mutant is on.
fn instead(out: &mut String, number: usize, code: &str) {
    let code = format!("if crate::mutant::is({number}) {{ {code} }} else");
    mark(out, number, &code);
}

/// On lines of its own, so that what the compiler says of it can be told to be about this mutant.
fn mark(out: &mut String, number: usize, code: &str) {
    out.push_str(&format!("\n/*mutant {number}*/\n{code}\n/*end*/\n"));
}

/// The mutant that a line of a woven text belongs to, or else the last one before it.
pub(crate) fn mutant_at(text: &str, line: usize) -> Option<usize> {
    let before: Vec<&str> = text.lines().take(line).collect();
    let mut marks = before
        .iter()
        .rev()
        .filter_map(|line| line.strip_prefix("/*mutant "));
    marks.next()?.strip_suffix("*/")?.parse().ok()
}

struct Finder<'a> {
    text: &'a str,
    mutants: &'a [(usize, &'a Mutant)],
    sites: BTreeMap<Order, Site>,
    woven: Vec<usize>,
}

impl Finder<'_> {
    fn offset(&self, place: Place) -> usize {
        let line: usize = self
            .text
            .split_inclusive('\n')
            .take(place.line - 1)
            .map(str::len)
            .sum();
        let rest = &self.text[line..];
        line + rest
            .char_indices()
            .nth(place.column - 1)
            .map_or(rest.len(), |(at, _)| at)
    }

    /// The mutants of a genre that begin here.
    fn at(&self, genre: Genre, offset: usize) -> Vec<(usize, String)> {
        let here = self
            .mutants
            .iter()
            .filter(|(_, mutant)| mutant.genre == genre);
        let here = here.filter(|(_, mutant)| self.offset(mutant.span.start) == offset);
        here.map(|(number, mutant)| (*number, mutant.replacement.clone()))
            .collect()
    }

    fn add(&mut self, range: Range<usize>, site: Site) {
        let inner = !matches!(site, Site::Guard(_));
        self.sites.insert(
            Order {
                start: range.start,
                rank: 1,
                end: Reverse(range.end),
                inner,
            },
            site,
        );
    }
}

impl<'ast> Visit<'ast> for Finder<'_> {
    // What is worked out by the compiler cannot ask which mutant is on.
    fn visit_item_const(&mut self, _: &'ast syn::ItemConst) {}
    fn visit_impl_item_const(&mut self, _: &'ast syn::ImplItemConst) {}
    fn visit_trait_item_const(&mut self, _: &'ast syn::TraitItemConst) {}
    fn visit_item_static(&mut self, _: &'ast syn::ItemStatic) {}
    fn visit_type_array(&mut self, _: &'ast syn::TypeArray) {}
    fn visit_expr_repeat(&mut self, node: &'ast syn::ExprRepeat) {
        self.visit_expr(&node.expr);
    }
    fn visit_expr_const(&mut self, _: &'ast syn::ExprConst) {}

    fn visit_expr_binary(&mut self, node: &'ast syn::ExprBinary) {
        let operator = node.op.span().byte_range();
        let others = self.at(Genre::BinaryOperator, operator.start);
        if !others.is_empty() && !has_let(&node.left) && !has_let(&node.right) {
            self.woven.extend(others.iter().map(|(number, _)| *number));
            self.add(node.span().byte_range(), Site::Binary(operator, others));
        }
        visit::visit_expr_binary(self, node);
    }

    fn visit_expr_unary(&mut self, node: &'ast syn::ExprUnary) {
        if let Some((number, _)) = self
            .at(Genre::UnaryOperator, node.op.span().byte_range().start)
            .first()
        {
            self.woven.push(*number);
            self.add(
                node.span().byte_range(),
                Site::Unary(node.expr.span().byte_range(), *number),
            );
        }
        visit::visit_expr_unary(self, node);
    }

    fn visit_arm(&mut self, node: &'ast syn::Arm) {
        let gone = self.at(Genre::MatchArm, node.pat.span().byte_range().start);
        let gone = gone.into_iter().next().map(|(number, _)| number);
        match &node.guard {
            None => {
                if let Some(number) = gone {
                    let at = node.pat.span().byte_range().end;
                    self.woven.push(number);
                    self.add(at..at, Site::Arm(number));
                }
            }
            Some((_, guard)) if !has_let(guard) => {
                let range = guard.span().byte_range();
                let mut others: Vec<_> = gone.map(|number| (number, "false")).into_iter().collect();
                for (number, other) in self.at(Genre::MatchArmGuard, range.start) {
                    others.push((number, if other == "true" { "true" } else { "false" }));
                }
                if !others.is_empty() {
                    self.woven.extend(others.iter().map(|(number, _)| *number));
                    self.add(range, Site::Guard(others));
                }
            }
            Some(_) => {}
        }
        visit::visit_arm(self, node);
    }
}

fn has_let(expression: &syn::Expr) -> bool {
    match expression {
        syn::Expr::Let(_) => true,
        syn::Expr::Binary(node) => has_let(&node.left) || has_let(&node.right),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::list::Span;

    const TEXT: &str = "fn small(a: u8) -> bool { a < 3 && !(a == 1) }
fn named(a: u8) -> u8 {
    match a {
        0 => 1,
        n if n > 7 => n,
        _ => 2,
    }
}
";

    fn mutant(genre: Genre, line: usize, at: &str, replacement: &str) -> Mutant {
        let text = TEXT.lines().nth(line - 1).expect("a line");
        let column = text.find(at).expect("it is there") + 1;
        Mutant {
            file: "small.rs".into(),
            genre,
            name: format!("{line} {at} {replacement}"),
            replacement: replacement.into(),
            span: Span {
                start: Place { line, column },
            },
        }
    }

    /// Every mutant of each genre is in it, on lines that name it, and what is not one is as it was.
    #[test]
    fn all_are_in_one_text_and_can_be_told_from_each_other() {
        let mutants = [
            mutant(Genre::FnValue, 1, "a < 3", "true"),
            mutant(Genre::FnValue, 1, "a < 3", "false"),
            mutant(Genre::BinaryOperator, 1, "<", ">"),
            mutant(Genre::BinaryOperator, 1, "&&", "||"),
            mutant(Genre::UnaryOperator, 1, "!", ""),
            mutant(Genre::BinaryOperator, 1, "==", "!="),
            mutant(Genre::MatchArm, 4, "0", ""),
            mutant(Genre::MatchArmGuard, 5, "n > 7", "true"),
            mutant(Genre::MatchArmGuard, 5, "n > 7", "false"),
            mutant(Genre::BinaryOperator, 5, ">", "<"),
        ];
        let numbered: Vec<_> = (1..).zip(&mutants).collect();
        let (woven, mut numbers) = weave(TEXT, &numbered);
        syn::parse_file(&woven).expect("it is Rust");
        numbers.sort();
        assert_eq!(numbers, (1..=mutants.len()).collect::<Vec<_>>());
        for number in numbers {
            let asked = format!("mutant::is({number})");
            assert_eq!(woven.matches(&asked).count(), 1, "{woven}");
            let line = 1 + woven
                .lines()
                .position(|line| line.contains(&asked))
                .expect("a line");
            assert_eq!(mutant_at(&woven, line), Some(number));
        }
        // The bodies come first, and what a mutant changes has no other one in it.
        assert!(woven.find("is(1)") < woven.find("is(4)"));
        let both = "if crate::mutant::is(4) { a < 3 || !(a == 1) } else";
        assert!(woven.contains(both), "{woven}");
        assert!(
            woven.contains("if crate::mutant::is(3) { a > 3 } else"),
            "{woven}"
        );

        let (same, none) = weave(TEXT, &[]);
        assert_eq!((same.as_str(), none), (TEXT, Vec::new()));
    }
}
