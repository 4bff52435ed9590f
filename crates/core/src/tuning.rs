//! The pacing parameters, all in one place.
//!
//! They were tuned with `paceline sim`; change one, and run the table again.

use std::time::Duration;

/// Bins of a ledger's window. Finer bins waste less of the window's edge.
pub(crate) const LEDGER_BINS: u64 = 2400;
/// A charge stays on the ledger this much longer than its window: the network may deliver it late.
pub(crate) const LEDGER_GUARD: Duration = Duration::from_millis(150);

/// Estimates of those in flight are wrong by chance: this many standard deviations of their sum stay free.
pub(crate) const ESTIMATE_SIGMAS: f64 = 3.0;
/// The relative error of estimates before any was settled, and how many answers it is learned from.
pub(crate) const ESTIMATE_ERROR: f64 = 0.1;
pub(crate) const ESTIMATE_MEMORY: f64 = 100.0;

/// Share of an output limit that the ledger never grants when it is charged as it is produced: what is under way is only guessed.
pub(crate) const LEDGER_MARGIN_PRODUCED: f64 = 0.01;

/// The smallest burst that providers are believed to allow.
pub(crate) const SMALLEST_BURST: Duration = Duration::from_secs(1);
/// How much of its quota a pacer lets through at once: providers enforce a minute's limit by the second.
pub(crate) const PACER_BURST: Duration = Duration::from_millis(400);
/// The same after a refusal or an outage, for a while.
pub(crate) const PACER_BURST_CAUTIOUS: Duration = Duration::from_millis(250);
/// Share of the steady rate that the pacer leaves, so that jitter at the provider evens out.
pub(crate) const PACER_MARGIN: f64 = 0.001;
/// Windows longer than this are metered but not paced: a day's quota may be used in the morning.
pub(crate) const LONGEST_PACED_WINDOW: Duration = Duration::from_secs(600);
/// Share of an overestimate that is given back: a provider's bucket that was full meanwhile has lost it.
pub(crate) const PACER_REFUND: f64 = 0.9;
/// How far interactive requests may overdraw a pacer: with the burst, less than a second's worth ...
pub(crate) const INTERACTIVE_OVERDRAFT: Duration = Duration::from_millis(200);
/// ... and so far where a larger burst is proven.
pub(crate) const PROVEN_OVERDRAFT: Duration = Duration::from_secs(10);
/// A request worth more than this much of the steady rate proves, when it is accepted, that bursts are ...
pub(crate) const PROVING_REQUEST: Duration = Duration::from_millis(1500);
/// ... and this share of it counts as the burst.
pub(crate) const PROVEN_BURST: f64 = 0.9;

/// A meter is known to refill continuously when its `reset` says so, within this error ...
pub(crate) const REFILL_TOLERANCE: Duration = Duration::from_millis(1500);
/// ... both when little was used and when much was: shares of the limit.
pub(crate) const REFILL_LITTLE: std::ops::Range<f64> = 0.2..0.4;
/// See [`REFILL_LITTLE`].
pub(crate) const REFILL_MUCH: std::ops::Range<f64> = 0.6..0.85;
/// Share of what it has earned since that is counted on.
pub(crate) const REFILL_TRUST: f64 = 0.95;
/// Headers older than this say nothing about now.
pub(crate) const EVIDENCE_FRESH: Duration = Duration::from_secs(60);
/// A header may have missed what was sent this long before its own request (requests overtake each other).
pub(crate) const EVIDENCE_REORDER: Duration = Duration::from_millis(250);
/// Share of a limit that is subtracted from what headers show to be left.
pub(crate) const EVIDENCE_MARGIN: f64 = 0.01;
/// With this share of a limit proven to be left, the pace may rise.
pub(crate) const PROVEN_SHARE: f64 = 0.5;
/// A raised pace goes on until this share is left, ...
pub(crate) const PROVEN_FLOOR: f64 = 0.01;
/// ... or this one where nothing shows that the meter earns continuously: a window that is spent in its first
/// seconds has nothing left for whoever comes in the others.
pub(crate) const PROVEN_FLOOR_WINDOW: f64 = 0.15;
/// A refusal or an outage ends a raised pace for this long.
pub(crate) const PROVEN_SPOILED: Duration = Duration::from_secs(600);
/// The pace on proof, while nobody interactive is served.
pub(crate) const PROVEN_PACE: f64 = 6.0;
/// The pace on proof beside interactive traffic: what is left is mostly kept for it.
pub(crate) const PROVEN_PACE_SHARED: f64 = 1.05;
/// While interactive traffic is active, others leave room for so many of its requests.
pub(crate) const INTERACTIVE_HOLD: f64 = 1.2;
/// Arrivals of interactive requests are averaged over this time.
pub(crate) const INTERACTIVE_MEMORY: Duration = Duration::from_secs(30);
/// Room that leaves the window within this time need not be kept free now.
pub(crate) const INTERACTIVE_PATIENCE: Duration = Duration::from_secs(2);
/// Interactive traffic counts as active this long after its last request.
pub(crate) const INTERACTIVE_ACTIVE: Duration = Duration::from_secs(60);
/// A refusal while headers prove this share of every limit to be left is not the limits' doing.
pub(crate) const EXPLAINED_SHARE: f64 = 0.1;
/// A guessed window is believed once this many reports in a row agree with it, ...
pub(crate) const WINDOW_SIGHTINGS: u32 = 3;
/// ... at points of use that lie apart by this factor, unless the reset alone tells that it is longer than a minute.
pub(crate) const WINDOW_SPREAD: f64 = 1.5;
/// A raised limit is believed once this many responses in a row report it; a lowered one at once.
pub(crate) const RAISE_SIGHTINGS: u32 = 3;

/// Share of an output limit that is left when output is charged as it is produced.
pub(crate) const OUTPUT_MARGIN: f64 = 0.03;
/// What those in flight may still produce is taken for this much more than expected, before headers prove room.
pub(crate) const OUTPUT_COMMITTED: f64 = 1.25;
/// Output tokens per second in flight, before any answer was seen.
pub(crate) const OUTPUT_SPEED_PRIOR: f64 = 110.0;
/// Output tokens per answer, before any was seen.
pub(crate) const OUTPUT_MEAN_PRIOR: f64 = 400.0;
/// How many answers the priors weigh.
pub(crate) const OUTPUT_PRIOR_WEIGHT: f64 = 8.0;
/// How many answers the learned averages remember.
pub(crate) const OUTPUT_MEMORY: f64 = 400.0;

/// Requests per second while nothing is known about a limit.
pub(crate) const START_RATE: f64 = 6.0;
/// While nothing is known the rate rises this often, as long as it is used, ...
pub(crate) const START_STEP: Duration = Duration::from_secs(10);
/// ... by this factor.
pub(crate) const START_FACTOR: f64 = 1.5;
/// A refusal so soon after a rise is the new rate's doing, not the volume's ...
pub(crate) const START_REACTION: Duration = Duration::from_secs(4);
/// ... and the first guess is this share of the new rate.
pub(crate) const START_BACKSTEP: f64 = 0.75;
/// A learned limit is kept this long before it is probed upward; doubles with each refusal.
pub(crate) const SETPOINT_HOLD: Duration = Duration::from_secs(40);
/// The longest hold.
pub(crate) const SETPOINT_HOLD_CAP: Duration = Duration::from_secs(600);
/// Upward probing, share per second, at its beginning ...
pub(crate) const SETPOINT_GROWTH: f64 = 0.0005;
/// ... which lasts this long: a window tells only when it is spent that it is overspent, ...
pub(crate) const SETPOINT_GENTLE: Duration = Duration::from_secs(120);
/// ... and how much faster it is then.
pub(crate) const SETPOINT_GROWTH_DOUBLES: Duration = Duration::from_secs(30);
/// The least that one refusal leaves: what was accepted in a moment says little ...
pub(crate) const SETPOINT_LEAST: f64 = 0.5;
/// ... and less still where the charge comes as it is produced, by those in flight: mostly it was chance, ...
pub(crate) const SETPOINT_LEAST_PRODUCED: f64 = 0.98;
/// ... unless another refusal was not long ago, ...
pub(crate) const SETPOINT_LEAST_PRODUCED_AGAIN: f64 = 0.93;
/// ... which means so many windows.
pub(crate) const REFUSED_AGAIN: u32 = 3;
/// ... and the least that one leaves which came soon after another: the charges between the two tell what a bucket earned,
/// but of a window, which others use as well, only what happened to leave it.
pub(crate) const SETPOINT_LEAST_EARNED: f64 = 0.9;
/// A refusal that probing upward provoked takes back the last steps: to this share of where it led, or to where it
/// began if that is nearer.
pub(crate) const SETPOINT_PROBE_BACKSTEP: f64 = 0.94;
/// A learned limit is set this much below what was accepted.
pub(crate) const SETPOINT_BACKSTEP: f64 = 0.995;
/// Learned limits of an earlier session start at this share.
pub(crate) const SETPOINT_RESTART: f64 = 0.9;

/// How long a gate stays closed when the refusal gives no hint.
pub(crate) const GATE_DEFAULT: Duration = Duration::from_secs(1);
/// Each probe that fails without a hint lengthens the wait by this factor, ...
pub(crate) const GATE_FACTOR: u32 = 3;
/// ... up to this.
pub(crate) const GATE_LONGEST: Duration = Duration::from_secs(12);
/// A refusal so soon after a gate opened belongs to the refusal before it.
pub(crate) const GATE_RELAPSE: Duration = Duration::from_millis(1500);
/// The longest time a gate stays closed before it is probed, whatever the hint.
pub(crate) const GATE_CAP: Duration = Duration::from_secs(8);
/// A probe that is not refused within this time has passed: refusals come fast, answers slowly.
pub(crate) const PROBE_GRACE: Duration = Duration::from_millis(500);
/// After `slow_down` the pace is halved and grows by half in this time.
pub(crate) const RAMP_GROWTH: Duration = Duration::from_secs(900);

/// A head that will fit sooner than this is waited for, rather than passed by smaller ones.
pub(crate) const PATIENCE: Duration = Duration::from_millis(250);
/// How many requests of a queue are looked at when its head does not fit.
pub(crate) const LOOK_AHEAD: usize = 16;
/// A head that waited this long for room gets it reserved.
pub(crate) const RESERVE_AFTER: Duration = Duration::from_secs(1);
/// Room that is gathered for it stands idle. A second sooner is worth as much as this share of the limit idle for a
/// second: more, and large requests go sooner; less, and they wait until much leaves the window at once.
pub(crate) const GATHER_IMPATIENCE: f64 = 0.06;
/// A class that was passed by so often takes a turn before those above it ...
pub(crate) const TURN_AFTER: u32 = 19;
/// ... if its head has waited this long.
pub(crate) const TURN_AFTER_WAIT: Duration = Duration::from_secs(30);
/// Expected waits are told so much longer: some who come later go first.
pub(crate) const EXPECTED_WAIT_MARGIN: f64 = 1.2;
/// A tier that has no room for longer than this, or until the deadline, leaves its requests to later ones.
pub(crate) const TIER_PATIENCE: Duration = Duration::from_secs(60);
