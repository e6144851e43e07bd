//! Tests of plans from their making to the simulation of what they do.

mod litmus;
mod plans;
mod round_trip;
mod strategies;
