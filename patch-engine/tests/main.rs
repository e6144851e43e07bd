//! Tests of plans: planning, checking, application and simulation.

mod litmus;
mod plans;
mod round_trip;
mod strategies;
