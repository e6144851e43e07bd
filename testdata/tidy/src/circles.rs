//! No circle of files, and a layer for each folder.
//!
//! In each module, its own file and its children, each with all below it, are ordered by
//! their [arrows](crate::imports): none leads back. So no files import each other in a
//! circle, and neither do folders. Besides, a child uses nothing that a file around it
//! (`mod.rs`, `lib.rs`) defines.

use crate::imports::Arrow;
use crate::modules::{Crate, FileId, ModuleId};
use crate::violation::Violation;
use std::collections::{BTreeMap, BTreeSet};

const CIRCLE: &str = "files and folders import each other in no circle";
const PARENT: &str = "a child uses nothing that its parent's file defines";

/// What is ordered in a module: its own file, or a child.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Node {
    Own,
    Child(ModuleId),
}

/// The arrows between the nodes of one module.
type Graph<'a> = BTreeMap<Node, BTreeMap<Node, &'a Arrow>>;

/// What breaks the rules in a crate.
#[must_use]
pub fn check(of: &Crate, arrows: &[Arrow]) -> Vec<Violation> {
    let mut found: Vec<Violation> = arrows
        .iter()
        .filter(|arrow| leads_to_parent(of, arrow))
        .map(|arrow| parent(of, arrow))
        .collect();
    for (module, graph) in graphs(of, arrows) {
        for circle in circles(&graph) {
            found.extend(circle_arrows(of, module, &graph, &circle));
        }
    }
    found
}

/// The layers of each module that has children, from the lowest: what a layer uses is
/// in those before it.
#[must_use]
pub fn layers(of: &Crate, arrows: &[Arrow]) -> Vec<(String, Vec<Vec<String>>)> {
    let graphs = graphs(of, arrows);
    let with_files = (0..of.modules.len()).map(ModuleId).filter(|id| !nodes(of, *id).is_empty());
    let layers = with_files.map(|id| {
        let graph = graphs.get(&id).cloned().unwrap_or_default();
        let path = of.file(of.module(id).file).path.clone();
        (path, layers_of(of, id, &graph))
    });
    layers.collect()
}

fn layers_of(of: &Crate, id: ModuleId, graph: &Graph<'_>) -> Vec<Vec<String>> {
    let mut left: BTreeSet<Node> = nodes(of, id).into_iter().collect();
    let mut layers = Vec::new();
    while !left.is_empty() {
        let is_free = |node: &&Node| {
            let uses = graph.get(node).into_iter().flat_map(BTreeMap::keys);
            uses.filter(|used| *used != *node).all(|used| !left.contains(used))
        };
        let mut layer: Vec<Node> = left.iter().filter(is_free).copied().collect();
        if layer.is_empty() {
            // A circle, which is a violation.
            layer = left.iter().copied().collect();
        }
        left.retain(|node| !layer.contains(node));
        layers.push(layer.into_iter().map(|node| name(of, id, node)).collect());
    }
    layers
}

/// The children of a module that have files of their own, and its own file.
fn nodes(of: &Crate, id: ModuleId) -> Vec<Node> {
    let own = of.module(id).file;
    let children = of.module(id).children.values();
    let mut nodes: Vec<Node> = children
        .filter(|child| of.module(**child).file != own)
        .map(|child| Node::Child(*child))
        .collect();
    if !nodes.is_empty() {
        nodes.push(Node::Own);
    }
    nodes
}

fn graphs<'a>(of: &Crate, arrows: &'a [Arrow]) -> BTreeMap<ModuleId, Graph<'a>> {
    let mut graphs: BTreeMap<ModuleId, Graph<'a>> = BTreeMap::new();
    for arrow in arrows {
        let (around, from, to) = common(of, arrow.from, arrow.to);
        graphs.entry(around).or_default().entry(from).or_default().entry(to).or_insert(arrow);
    }
    graphs
}

/// The innermost module around two files, and its nodes that hold them.
fn common(of: &Crate, from: FileId, to: FileId) -> (ModuleId, Node, Node) {
    let path = |file: FileId| {
        let mut path: Vec<ModuleId> = of.ancestors(of.file(file).module).collect();
        path.reverse();
        path
    };
    let (from, to) = (path(from), path(to));
    let shared = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
    let node = |path: &[ModuleId]| path.get(shared).map_or(Node::Own, |id| Node::Child(*id));
    (from[shared - 1], node(&from), node(&to))
}

/// Sets of nodes that reach each other.
fn circles(graph: &Graph<'_>) -> Vec<BTreeSet<Node>> {
    let reach = |start: Node| {
        let mut seen = BTreeSet::new();
        let mut left = vec![start];
        while let Some(node) = left.pop() {
            let next = graph.get(&node).into_iter().flat_map(BTreeMap::keys);
            left.extend(next.filter(|next| seen.insert(**next)));
        }
        seen
    };
    let reached: BTreeMap<Node, BTreeSet<Node>> =
        graph.keys().map(|node| (*node, reach(*node))).collect();
    let mut found: Vec<BTreeSet<Node>> = Vec::new();
    for (node, nodes) in &reached {
        let back = |other: &&Node| reached.get(other).is_some_and(|nodes| nodes.contains(node));
        let circle: BTreeSet<Node> = nodes.iter().filter(back).copied().collect();
        if circle.len() > 1 && !found.contains(&circle) {
            found.push(circle);
        }
    }
    found
}

/// One violation for each arrow of a circle.
fn circle_arrows(
    of: &Crate,
    module: ModuleId,
    graph: &Graph<'_>,
    circle: &BTreeSet<Node>,
) -> Vec<Violation> {
    let names: Vec<String> = circle.iter().map(|node| name(of, module, *node)).collect();
    let mut found = Vec::new();
    for from in circle {
        for (to, arrow) in graph.get(from).into_iter().flatten() {
            if circle.contains(to) {
                let (from, to) = (name(of, module, *from), name(of, module, *to));
                let what = format!(
                    "{from} uses {} of {to}, which defines it in {}; circle of {}",
                    arrow.path,
                    of.file(arrow.to).path,
                    names.join(", ")
                );
                found.push(violation(of, arrow, CIRCLE, what));
            }
        }
    }
    found
}

fn name(of: &Crate, module: ModuleId, node: Node) -> String {
    match node {
        Node::Child(id) => of.module(id).name.clone(),
        Node::Own => {
            let path = &of.file(of.module(module).file).path;
            path.rsplit('/').next().unwrap_or(path).to_owned()
        }
    }
}

fn leads_to_parent(of: &Crate, arrow: &Arrow) -> bool {
    let parent = of.file(arrow.to).module;
    of.ancestors(of.file(arrow.from).module).any(|around| around == parent)
}

fn parent(of: &Crate, arrow: &Arrow) -> Violation {
    let what = format!("{} is defined in {}", arrow.path, of.file(arrow.to).path);
    violation(of, arrow, PARENT, what)
}

fn violation(of: &Crate, arrow: &Arrow, rule: &'static str, what: String) -> Violation {
    Violation { path: of.file(arrow.from).path.clone(), line: arrow.line, rule, what }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::imports::arrows;

    fn read(files: &[(&str, &str)]) -> (Crate, Vec<Arrow>) {
        let read = |path: &str| {
            let file = files.iter().find(|(known, _)| *known == path);
            file.map(|(_, text)| (*text).to_owned())
        };
        let of = Crate::read("lib.rs", &read).expect("the files are sound");
        let arrows = arrows(&of);
        (of, arrows)
    }

    fn found(files: &[(&str, &str)]) -> Vec<String> {
        let (of, arrows) = read(files);
        check(&of, &arrows).iter().map(|found| format!("{}:{}", found.path, found.line)).collect()
    }

    // The root `lib.rs` has no folder, so that its children's paths begin with `/`.
    const LIB: (&str, &str) = ("lib.rs", "mod a; mod b;");

    #[test]
    fn files_in_one_direction_are_no_circle() {
        let files =
            [LIB, ("/a.rs", "pub struct A;"), ("/b.rs", "use crate::a::A; pub struct B(A);")];
        assert_eq!(found(&files), [""; 0]);
        let (of, arrows) = read(&files);
        let layers = layers(&of, &arrows);
        assert_eq!(
            layers,
            [(
                "lib.rs".to_owned(),
                vec![vec!["lib.rs".to_owned(), "a".to_owned()], vec!["b".to_owned()]]
            )]
        );
    }

    #[test]
    fn files_that_import_each_other_are_a_circle() {
        let files = [
            LIB,
            ("/a.rs", "use crate::b::B;\npub struct A;"),
            ("/b.rs", "\nuse crate::a::A; pub struct B(A);"),
        ];
        assert_eq!(found(&files), ["/a.rs:1", "/b.rs:2"]);
    }

    #[test]
    fn folders_that_import_each_other_are_a_circle() {
        let files = [
            LIB,
            ("/a/mod.rs", "mod low; mod high;"),
            ("/a/low.rs", "pub struct Low;"),
            ("/a/high.rs", "use crate::b::B; pub struct High(B);"),
            ("/b.rs", "use crate::a::low::Low; pub struct B(Low);"),
        ];
        assert_eq!(found(&files), ["/a/high.rs:1", "/b.rs:1"]);
    }

    #[test]
    fn a_child_that_uses_its_parent_is_found() {
        let files = [
            ("lib.rs", "mod a; pub struct Own;"),
            ("/a/mod.rs", "mod c; pub(super) struct A;"),
            ("/a/c.rs", "use super::A;\nuse crate::Own; struct C(A, Own);"),
        ];
        assert_eq!(found(&files), ["/a/c.rs:2", "/a/c.rs:1"]);
    }
}
