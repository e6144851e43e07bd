//! Explores every behaviour that the architecture allows.
//!
//! Loads and stores happen out of order, as far as barriers, dependencies and addresses permit.
//! Instructions are fetched in program order, at any time, along any prediction, up to the next
//! context synchronising event. An instruction cache can supply every write since its line was last
//! invalidated. The model is that of Simner et al., "ARMv8-A System Semantics: Instruction Fetch in
//! Relaxed Architectures" (ESOP 2020), with the orderings of the Arm ARM (B2.3).
//!
//! Not modelled: accesses of mixed sizes, FEAT_ExS, shareability domains (ISH is SY), translation
//! and TLBs, acquire loads and exclusives, IC IALLUIS, HCR_EL2.FB (IC IALLU is local), and
//! instruction fetch of the patching PE: the simulator asks about other PEs.

mod encoding;
pub mod explore;
mod insn;
pub mod litmus;
pub mod machine;
pub mod plan;
mod program;
mod rules;
pub mod strategy;
