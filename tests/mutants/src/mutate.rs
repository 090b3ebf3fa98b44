//! Mutants of a file, all of them in one text: which of them runs is said when it runs.

use std::collections::BTreeSet;

use quote::ToTokens;
use syn::visit_mut::{self, VisitMut};
use syn::{Attribute, BinOp, Expr, ExprIf, ExprWhile, File, Item, UnOp, parse_quote};

/// One change of the code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mutant {
    pub file: String,
    pub line: usize,
    /// What becomes of what, as in `< → <=`.
    pub change: String,
    /// The line as it is written, which names the mutant where lines move.
    pub text: String,
}

impl Mutant {
    /// Names it in the list of those that are justified.
    pub fn name(&self) -> String {
        format!("{}: {}: {}", self.file, self.change, self.text)
    }
}

/// The file with a switch at each place but those left out, and what each switch does. Numbers go on from `first`.
pub fn mutate(
    file: &str,
    code: &str,
    first: usize,
    left_out: &BTreeSet<usize>,
) -> Result<(String, Vec<Mutant>), syn::Error> {
    let mut tree: File = syn::parse_file(code)?;
    let lines = code.lines().map(str::trim).collect();
    let mut walk = Walk { file, lines, first, left_out, found: Vec::new() };
    walk.visit_file_mut(&mut tree);
    Ok((tree.into_token_stream().to_string(), walk.found))
}

struct Walk<'a> {
    file: &'a str,
    lines: Vec<&'a str>,
    first: usize,
    left_out: &'a BTreeSet<usize>,
    found: Vec<Mutant>,
}

fn is_for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let text = attribute.to_token_stream().to_string();
        text.contains("test")
    })
}

impl Walk<'_> {
    /// A new switch at this line, unless it is left out.
    fn switch(&mut self, line: usize, change: String) -> Option<Expr> {
        let at = self.first + self.found.len();
        let text = self.lines.get(line.wrapping_sub(1)).unwrap_or(&"").to_string();
        self.found.push(Mutant { file: self.file.to_string(), line, change, text });
        let number = at as u32;
        (!self.left_out.contains(&at)).then(|| parse_quote!(crate::mutated::is(#number)))
    }

    /// The condition, or its opposite.
    fn negated(&mut self, condition: &mut Expr, line: usize) {
        // Patterns in it bind names.
        if condition.to_token_stream().to_string().contains("let ") {
            return;
        }
        let change = "condition → its opposite".to_string();
        let Some(switch) = self.switch(line, change) else { return };
        let inner = condition.clone();
        *condition = parse_quote!((#switch ^ (#inner)));
    }
}

fn line_of(tokens: &impl ToTokens) -> usize {
    let mut tokens = tokens.to_token_stream().into_iter();
    tokens.next().map_or(0, |token| token.span().start().line)
}

/// What stands in the place of an operator.
fn other(op: &BinOp) -> Option<BinOp> {
    Some(match op {
        BinOp::Lt(_) => parse_quote!(<=),
        BinOp::Le(_) => parse_quote!(<),
        BinOp::Gt(_) => parse_quote!(>=),
        BinOp::Ge(_) => parse_quote!(>),
        BinOp::Eq(_) => parse_quote!(!=),
        BinOp::Ne(_) => parse_quote!(==),
        BinOp::And(_) => parse_quote!(||),
        BinOp::Or(_) => parse_quote!(&&),
        BinOp::Add(_) => parse_quote!(-),
        BinOp::Sub(_) => parse_quote!(+),
        BinOp::Mul(_) => parse_quote!(/),
        BinOp::Div(_) => parse_quote!(*),
        BinOp::AddAssign(_) => parse_quote!(-=),
        BinOp::SubAssign(_) => parse_quote!(+=),
        BinOp::MulAssign(_) => parse_quote!(/=),
        BinOp::BitOrAssign(_) => parse_quote!(&=),
        _ => return None,
    })
}

impl VisitMut for Walk<'_> {
    fn visit_item_mut(&mut self, item: &mut Item) {
        match item {
            // What is known when it is compiled cannot ask a switch.
            Item::Const(_) | Item::Static(_) | Item::Macro(_) | Item::Enum(_) => {}
            Item::Mod(inner) if is_for_tests(&inner.attrs) => {}
            Item::Fn(function)
                if function.sig.constness.is_some() || is_for_tests(&function.attrs) => {}
            item => visit_mut::visit_item_mut(self, item),
        }
    }

    fn visit_impl_item_mut(&mut self, item: &mut syn::ImplItem) {
        match item {
            syn::ImplItem::Const(_) | syn::ImplItem::Macro(_) => {}
            syn::ImplItem::Fn(function) if function.sig.constness.is_some() => {}
            item => visit_mut::visit_impl_item_mut(self, item),
        }
    }

    fn visit_trait_item_mut(&mut self, item: &mut syn::TraitItem) {
        match item {
            syn::TraitItem::Const(_) | syn::TraitItem::Macro(_) => {}
            item => visit_mut::visit_trait_item_mut(self, item),
        }
    }

    fn visit_pat_mut(&mut self, _: &mut syn::Pat) {}

    fn visit_type_mut(&mut self, _: &mut syn::Type) {}

    fn visit_generic_argument_mut(&mut self, _: &mut syn::GenericArgument) {}

    fn visit_expr_repeat_mut(&mut self, repeat: &mut syn::ExprRepeat) {
        // Not the length.
        self.visit_expr_mut(&mut repeat.expr);
    }

    fn visit_expr_if_mut(&mut self, expr: &mut ExprIf) {
        // Before there are switches in it, which are on no line.
        let line = line_of(&expr.cond);
        visit_mut::visit_expr_if_mut(self, expr);
        self.negated(&mut expr.cond, line);
    }

    fn visit_expr_while_mut(&mut self, expr: &mut ExprWhile) {
        visit_mut::visit_expr_while_mut(self, expr);
    }

    fn visit_expr_mut(&mut self, expr: &mut Expr) {
        if matches!(expr, Expr::Const(_)) {
            return;
        }
        let line = line_of(expr);
        visit_mut::visit_expr_mut(self, expr);
        match expr {
            Expr::Binary(binary) => {
                let text = binary.to_token_stream().to_string();
                // `let` chains, and text that is put together.
                if text.starts_with("let ") || text.contains("&& let ") {
                    return;
                }
                let Some(other) = other(&binary.op) else { return };
                let change =
                    format!("{} → {}", binary.op.to_token_stream(), other.to_token_stream());
                let Some(switch) = self.switch(line_of(&binary.op), change) else { return };
                let (whole, mut changed) = (binary.clone(), binary.clone());
                changed.op = other;
                *expr = parse_quote!((if #switch { #changed } else { #whole }));
            }
            Expr::Unary(unary) if matches!(unary.op, UnOp::Not(_)) => {
                let Some(switch) = self.switch(line, "! → nothing".to_string()) else { return };
                let (inner, whole) = (unary.expr.clone(), unary.clone());
                *expr = parse_quote!((if #switch { #inner } else { #whole }));
            }
            Expr::MethodCall(call) if call.args.len() == 1 => {
                let other = match call.method.to_string().as_str() {
                    "min" => "max",
                    "max" => "min",
                    _ => return,
                };
                let change = format!("{} → {other}", call.method);
                let Some(switch) = self.switch(line, change) else { return };
                let whole = call.clone();
                let mut changed = call.clone();
                changed.method = syn::Ident::new(other, call.method.span());
                *expr = parse_quote!((if #switch { #changed } else { #whole }));
            }
            _ => {}
        }
    }
}
