//! What the spreader does on single commands.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::time::Duration;

use peer_wire::{Block, Pieces};
use rand::SeedableRng;
use rand::rngs::StdRng;
use tracker_peer::spreader::{Action, Layout, MAX_RECEIVERS, MAX_WAITING, Spreader};

const KIB: u32 = 1024;

/// A spreader, and the time.
struct Lab {
    spreader: Spreader<u32>,
    layout: Layout,
    now: Duration,
}

impl Lab {
    fn new(pieces: u64, piece_kib: u32) -> Self {
        let piece_length = piece_kib * KIB;
        let layout = Layout::new(pieces * u64::from(piece_length), piece_length).unwrap();
        let spreader = Spreader::new(layout, &mut StdRng::seed_from_u64(1));
        Self { spreader, layout, now: Duration::from_secs(100) }
    }

    fn actions(&mut self) -> Vec<Action<u32>> {
        std::iter::from_fn(|| self.spreader.poll_action()).collect()
    }

    /// The pieces that are revealed, to whomever.
    fn revealed(&mut self) -> Vec<u32> {
        let piece = |action| match action {
            Action::Reveal { piece, .. } => Some(piece),
            _ => None,
        };
        self.actions().into_iter().filter_map(piece).collect()
    }

    fn served(&mut self) -> Vec<(u32, Block)> {
        let block = |action| match action {
            Action::Serve { connection, block } => Some((connection, block)),
            _ => None,
        };
        self.actions().into_iter().filter_map(block).collect()
    }

    /// A peer with the fast extension and without pieces, which wants something at once.
    fn join(&mut self, connection: u32) {
        self.join_hesitantly(connection);
        self.spreader.handle_interested(self.now, connection, true);
    }

    /// One that does not say that it wants something.
    fn join_hesitantly(&mut self, connection: u32) {
        self.spreader.handle_joined(self.now, connection, true, None);
    }

    fn leave(&mut self, connection: u32) {
        self.spreader.handle_left(self.now, connection);
    }

    fn request(&mut self, connection: u32, block: Block) {
        self.spreader.handle_request(self.now, connection, block);
    }

    fn sent(&mut self, connection: u32, bytes: u32) {
        self.spreader.handle_sent(self.now, connection, bytes);
    }

    /// The peer requests the piece, and gets it.
    fn give(&mut self, connection: u32, piece: u32) {
        let length = self.layout.length_of(piece);
        for begin in (0..length).step_by(128 * KIB as usize) {
            let block = Block { piece, begin, length: (128 * KIB).min(length - begin) };
            self.request(connection, block);
            self.sent(connection, block.length);
        }
    }

    fn wait(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(due) = self.spreader.poll_timeout().filter(|&due| due <= end) {
            self.now = due.max(self.now);
            self.spreader.handle_timeout(self.now);
        }
        self.now = end;
    }
}

fn whole(piece: u32, length: u32) -> Block {
    Block { piece, begin: 0, length }
}

fn set(pieces: &[u32]) -> BTreeSet<u32> {
    pieces.iter().copied().collect()
}

#[test]
fn each_piece_is_revealed_once_before_any_is_revealed_twice() {
    let mut lab = Lab::new(100, 64);
    let mut revealed = Vec::new();
    for peer in 0..10 {
        lab.join(peer);
    }
    while revealed.len() < 100 {
        for action in lab.actions() {
            if let Action::Reveal { connection, piece } = action {
                revealed.push(piece);
                let block = whole(piece, 64 * KIB);
                lab.request(connection, block);
                lab.sent(connection, block.length);
            }
        }
    }
    assert_eq!(set(&revealed[..100]).len(), 100);
}

#[test]
fn a_peer_is_told_of_a_mebibyte_at_first_and_of_two_pieces_at_least() {
    for (piece_kib, count) in [(16, 64), (64, 16), (512, 2), (1024, 2), (8192, 2)] {
        let mut lab = Lab::new(1000, piece_kib);
        lab.join(1);
        assert_eq!(lab.revealed().len(), count, "{piece_kib} KiB");
    }
}

#[test]
fn a_peer_is_told_of_a_mebibyte_when_it_takes_a_quarter_of_that_in_a_second_and_of_more_if_it_is_fast() {
    for (per_second, window) in
        [(100 * KIB, 400 * KIB), (256 * KIB, 1024 * KIB), (512 * KIB, 1024 * KIB), (4096 * KIB, 4096 * KIB)]
    {
        let mut lab = Lab::new(10_000, 16);
        lab.join(1);
        let (mut waiting, mut outstanding) = (Vec::new(), 0);
        // Nothing is requested ahead of what it takes.
        for _ in 0..per_second / (16 * KIB) * 12 {
            let revealed = lab.revealed();
            outstanding += revealed.len() as u32 * 16 * KIB;
            waiting.extend(revealed);
            let piece = waiting.pop().expect("there is always something to request");
            lab.request(1, whole(piece, 16 * KIB));
            lab.wait(Duration::from_secs_f64(f64::from(16 * KIB) / f64::from(per_second)));
            lab.sent(1, 16 * KIB);
            outstanding -= 16 * KIB;
        }
        outstanding += lab.revealed().len() as u32 * 16 * KIB;
        assert!(outstanding.abs_diff(window) <= window / 8, "{per_second}: {outstanding}, not {window}");
    }
}

#[test]
fn pieces_that_somebody_has_are_revealed_sparingly_while_many_want_them() {
    let mut lab = Lab::new(160, 16);
    let everything = Pieces::full_bitfield(160);
    lab.spreader.handle_joined(lab.now, 0, true, Some(&everything));
    assert_eq!(lab.actions(), [], "it has everything");
    let told = [1, 2, 3, 4].map(|peer| {
        lab.join(peer);
        lab.revealed().len()
    });
    assert_eq!(told, [64, 32, 21, 16], "as many wait for them");
    lab.leave(1);
    lab.leave(2);
    lab.actions();
    lab.leave(3);
    let all = lab.actions();
    assert!(!all.is_empty() && all.iter().all(|action| matches!(action, Action::Reveal { connection: 4, .. })));
}

#[test]
fn one_that_is_far_ahead_is_told_of_nothing_until_the_others_have_caught_up() {
    let mut lab = Lab::new(100, 256);
    lab.join(1);
    lab.join(2);
    // From others, without anything from here.
    let get = |lab: &mut Lab, peer, pieces: std::ops::Range<u32>| {
        pieces.for_each(|piece| lab.spreader.handle_have(lab.now, peer, piece));
        lab.wait(Duration::from_secs(1));
    };
    let told_of = |lab: &mut Lab, peer| {
        let told = lab.actions().into_iter();
        told.filter(|action| matches!(action, Action::Reveal { connection, .. } if *connection == peer)).count()
    };
    get(&mut lab, 1, 50..60);
    lab.actions();
    get(&mut lab, 1, 60..90);
    assert_eq!(told_of(&mut lab, 1), 0);
    get(&mut lab, 2, 50..84);
    assert!(told_of(&mut lab, 1) > 0);
}

#[test]
fn one_that_is_far_ahead_and_gets_nothing_from_others_is_not_forgotten() {
    let mut lab = Lab::new(100, 256);
    lab.join(1);
    (50..90).for_each(|piece| lab.spreader.handle_have(lab.now, 1, piece));
    lab.join(2);
    // Each requests what is revealed to it, and gets what it is served.
    let is_served = |lab: &mut Lab| {
        let mut is_served = false;
        loop {
            let actions = lab.actions();
            if actions.is_empty() {
                return is_served;
            }
            for action in actions {
                match action {
                    Action::Reveal { connection, piece } => {
                        for begin in [0, 128 * KIB] {
                            lab.request(connection, Block { piece, begin, length: 128 * KIB });
                        }
                    }
                    Action::Serve { connection, block } => {
                        is_served |= connection == 1;
                        lab.sent(connection, block.length);
                    }
                    _ => {}
                }
            }
        }
    };
    lab.wait(Duration::from_millis(100));
    while is_served(&mut lab) {}
    for piece in 0..4 {
        lab.spreader.handle_have(lab.now, 2, piece);
        lab.wait(Duration::from_millis(700));
        assert!(!is_served(&mut lab), "{piece}");
    }
    lab.wait(Duration::from_secs(2));
    assert!(is_served(&mut lab));
}

#[test]
fn one_that_asks_for_nothing_is_told_of_little_until_it_does() {
    let mut lab = Lab::new(1000, 16);
    lab.join_hesitantly(1);
    let told = lab.revealed();
    assert_eq!(told.len(), 8, "128 KiB");
    lab.wait(Duration::from_secs(9));
    assert_eq!(lab.actions(), []);
    lab.request(1, whole(told[0], 16 * KIB));
    assert_eq!(lab.revealed().len(), 64);
}

#[test]
fn one_that_asks_for_nothing_does_not_keep_pieces_from_the_others() {
    let mut lab = Lab::new(6, 512);
    lab.join_hesitantly(1);
    assert_eq!(lab.revealed().len(), 2);
    lab.wait(Duration::from_secs(2));
    let told = [2, 3, 4].map(|peer| {
        lab.join(peer);
        lab.revealed()
    });
    assert_eq!(set(&told.concat()).len(), 6);
}

#[test]
fn nobody_is_held_back_for_one_that_asks_for_nothing() {
    let mut lab = Lab::new(100, 256);
    lab.join_hesitantly(1);
    lab.actions();
    lab.join(2);
    let mut count = 0;
    loop {
        let told = lab.revealed();
        if told.is_empty() {
            break;
        }
        count += told.len();
        told.into_iter().for_each(|piece| lab.give(2, piece));
        lab.wait(Duration::from_millis(200));
    }
    assert_eq!(count, 100);
}

#[test]
fn one_that_is_held_back_goes_on_wanting_something_and_waits_for_it() {
    let mut lab = Lab::new(100, 256);
    lab.join(1);
    lab.join(2);
    let told = lab.actions();
    let told = |peer| {
        let piece = move |action: &Action<u32>| match *action {
            Action::Reveal { connection, piece } if connection == peer => Some(piece),
            _ => None,
        };
        told.iter().filter_map(piece).collect::<Vec<_>>()
    };
    let (first, second) = (told(1), told(2));
    // It gets much from others, and all that was revealed to it.
    let from_others = (0..100).filter(|piece| !first.contains(piece) && !second.contains(piece)).take(40);
    from_others.for_each(|piece| lab.spreader.handle_have(lab.now, 1, piece));
    lab.wait(Duration::from_millis(200));
    first.iter().for_each(|&piece| lab.give(1, piece));
    let kept: Vec<_> = lab.revealed();
    let [kept] = kept[..] else { panic!("{kept:?}") };
    assert!(second.contains(&kept), "one that is given to somebody else");
    lab.request(1, whole(kept, 16 * KIB));
    lab.wait(Duration::from_millis(500));
    assert_eq!(lab.served(), []);
    // The other one has caught up.
    (0..100).filter(|piece| *piece != kept).take(40).for_each(|piece| lab.spreader.handle_have(lab.now, 2, piece));
    lab.wait(Duration::from_secs(1));
    assert_eq!(lab.served(), [(1, whole(kept, 16 * KIB))]);
}

#[test]
fn what_was_promised_to_one_who_leaves_is_out_again_at_once() {
    let mut lab = Lab::new(8, 256);
    lab.join(1);
    let promised = lab.revealed();
    lab.join(2);
    let others = lab.revealed();
    assert_eq!((promised.len(), others.len()), (4, 2), "no more than its share of what is left");
    assert!(others.iter().all(|piece| !promised.contains(piece)));
    lab.leave(1);
    // Nobody has these now. What nobody was told of is as rare.
    for piece in others {
        lab.give(2, piece);
    }
    let next = lab.revealed();
    assert!(next.iter().any(|piece| promised.contains(piece)), "{next:?} of {promised:?}");
}

#[test]
fn what_was_promised_to_one_who_stalls_is_out_again() {
    let mut lab = Lab::new(6, 512);
    let told = [1, 2, 3].map(|peer| {
        lab.join(peer);
        lab.revealed()
    });
    assert_eq!(set(&told.concat()).len(), 6);
    for peer in [2, 3] {
        lab.request(peer, whole(told[peer as usize - 1][0], 128 * KIB));
    }
    for _ in 0..3 {
        lab.wait(Duration::from_secs(2));
        lab.sent(2, KIB);
        lab.sent(3, KIB);
    }
    assert_eq!(lab.revealed(), []);
    lab.join(4);
    assert_eq!(set(&lab.revealed()), set(&told[0]));
}

#[test]
fn one_that_stalled_is_told_of_nothing_more_until_it_shows_life() {
    let mut lab = Lab::new(100, 64);
    lab.join(1);
    assert_eq!(lab.revealed().len(), 16);
    lab.wait(Duration::from_secs(60));
    assert_eq!(lab.actions(), []);
    assert_eq!(lab.spreader.poll_timeout(), None, "there is nothing to look at");
    lab.spreader.handle_interested(lab.now, 1, true);
    assert_eq!(lab.revealed().len(), 16);
}

#[test]
fn what_was_not_revealed_is_rejected_or_ignored() {
    let mut lab = Lab::new(100, 64);
    lab.join(1);
    lab.spreader.handle_joined(lab.now, 2, false, None);
    let told: Vec<_> = lab.actions();
    let to = |peer: u32| {
        let piece = move |action: &Action<u32>| match *action {
            Action::Reveal { connection, piece } if connection == peer => Some(piece),
            _ => None,
        };
        told.iter().filter_map(piece).collect::<Vec<_>>()
    };
    let (first, second) = (to(1), to(2));
    let block = whole(second[0], 16 * KIB);
    lab.request(1, block);
    assert_eq!(lab.actions(), [Action::Reject { connection: 1, block }]);
    lab.request(2, whole(first[0], 16 * KIB));
    assert_eq!(lab.actions(), []);
    for block in [whole(first[0], 0), whole(first[0], 64 * KIB + 1), whole(u32::MAX, 1)] {
        lab.request(1, block);
        assert_eq!(lab.actions(), [Action::Reject { connection: 1, block }]);
    }
    // What it has it may have lost: of that it was told.
    lab.spreader.handle_have(lab.now, 1, first[0]);
    lab.actions();
    lab.request(1, whole(first[0], 16 * KIB));
    assert_eq!(lab.served(), [(1, whole(first[0], 16 * KIB))]);
}

#[test]
fn a_peer_that_was_sent_everything_may_ask_again() {
    let mut lab = Lab::new(3, 64);
    lab.join(1);
    let pieces = lab.revealed();
    for &piece in &pieces {
        lab.give(1, piece);
    }
    lab.actions();
    lab.request(1, whole(pieces[1], 64 * KIB));
    assert_eq!(lab.served(), [(1, whole(pieces[1], 64 * KIB))]);
}

#[test]
fn what_is_ahead_in_the_socket_and_what_waits_is_limited() {
    let mut lab = Lab::new(2, 8192);
    lab.join(1);
    let piece = lab.revealed()[0];
    let block = |index: usize| Block { piece, begin: index as u32 * 16 * KIB, length: 16 * KIB };
    for index in 0..200 {
        lab.request(1, block(index));
        lab.request(1, block(index));
    }
    let actions = lab.actions();
    let served: Vec<_> = (0..16).map(|index| Action::Serve { connection: 1, block: block(index) }).collect();
    assert_eq!(actions[..16], served);
    let rejected = (16 + MAX_WAITING..200).flat_map(|index| [block(index); 2]);
    assert_eq!(actions[16..], rejected.map(|block| Action::Reject { connection: 1, block }).collect::<Vec<_>>());
    lab.sent(1, 24 * KIB);
    assert_eq!(lab.served(), [(1, block(16))], "there is room for one and a half");
}

#[test]
fn a_cancelled_request_is_not_served() {
    let mut lab = Lab::new(2, 8192);
    lab.join(1);
    let piece = lab.revealed()[0];
    let block = |index: u32| Block { piece, begin: index * 128 * KIB, length: 128 * KIB };
    (0..4).for_each(|index| lab.request(1, block(index)));
    assert_eq!(lab.served(), [(1, block(0)), (1, block(1))]);
    lab.spreader.handle_cancel(lab.now, 1, block(0));
    assert_eq!(lab.actions(), [], "it is under way");
    lab.spreader.handle_cancel(lab.now, 1, block(2));
    assert_eq!(lab.actions(), [Action::Reject { connection: 1, block: block(2) }]);
    lab.sent(1, 256 * KIB);
    assert_eq!(lab.served(), [(1, block(3))]);
}

#[test]
fn slots_are_unlimited_or_take_turns() {
    let mut lab = Lab::new(1000, 16);
    let unchoked = |actions: Vec<Action<u32>>| {
        let change = |action| match action {
            Action::Unchoke { connection } => Some((connection, true)),
            Action::Choke { connection } => Some((connection, false)),
            _ => None,
        };
        actions.into_iter().filter_map(change).collect::<Vec<_>>()
    };
    (0..4).for_each(|peer| lab.join(peer));
    assert_eq!(unchoked(lab.actions()), [(0, true), (1, true), (2, true), (3, true)]);
    lab.spreader.set_slots(lab.now, NonZeroUsize::new(2));
    assert_eq!(unchoked(lab.actions()), [(0, false), (1, false)], "those who had one for longest");
    lab.wait(Duration::from_secs(9));
    assert_eq!(unchoked(lab.actions()), []);
    lab.wait(Duration::from_secs(2));
    assert_eq!(unchoked(lab.actions()), [(2, false), (0, true), (3, false), (1, true)]);
    // One that is complete makes room at once.
    let everything = Pieces::full_bitfield(1000);
    lab.spreader.handle_bitfield(lab.now, 0, &everything);
    assert_eq!(unchoked(lab.actions()), [(0, false), (2, true)]);
    lab.leave(1);
    assert_eq!(unchoked(lab.actions()), [(3, true)]);
    lab.spreader.handle_interested(lab.now, 0, true);
    assert_eq!(unchoked(lab.actions()), []);
    lab.spreader.set_slots(lab.now, None);
    assert_eq!(unchoked(lab.actions()), [(0, true)]);
}

#[test]
fn a_choked_peer_is_not_served() {
    let mut lab = Lab::new(1000, 512);
    lab.join(1);
    let piece = lab.revealed()[0];
    let blocks: Vec<_> = (0..19).map(|index| Block { piece, begin: index * 16 * KIB, length: 16 * KIB }).collect();
    for &block in &blocks {
        lab.request(1, block);
    }
    let (at_once, waiting) = blocks.split_at(16);
    assert_eq!(lab.served(), at_once.iter().map(|&block| (1, block)).collect::<Vec<_>>());
    lab.join(2);
    lab.actions();
    lab.spreader.set_slots(lab.now, NonZeroUsize::new(1));
    let rejected = waiting.iter().map(|&block| Action::Reject { connection: 1, block });
    let expected: Vec<_> = std::iter::once(Action::Choke { connection: 1 }).chain(rejected).collect();
    assert_eq!(lab.actions()[..4], expected);
    lab.request(1, waiting[0]);
    assert_eq!(lab.actions(), [Action::Reject { connection: 1, block: waiting[0] }]);
}

#[test]
fn nothing_is_given_after_the_end() {
    let mut lab = Lab::new(1000, 512);
    lab.join(1);
    lab.join(2);
    let piece = lab.revealed()[0];
    let blocks: Vec<_> = (0..17).map(|index| Block { piece, begin: index * 16 * KIB, length: 16 * KIB }).collect();
    blocks.iter().for_each(|&block| lab.request(1, block));
    lab.actions();
    lab.spreader.handle_ended(lab.now);
    let rejected = Action::Reject { connection: 1, block: blocks[16] };
    let choked = [1, 2].map(|connection| Action::Choke { connection });
    assert_eq!(lab.actions(), [choked[0], rejected, choked[1]]);
    lab.request(2, blocks[0]);
    lab.wait(Duration::from_secs(30));
    assert_eq!(lab.actions(), [Action::Reject { connection: 2, block: blocks[0] }]);
}

#[test]
fn there_are_so_many_receivers_at_most() {
    let mut lab = Lab::new(10_000, 16);
    (0..MAX_RECEIVERS as u32).for_each(|peer| lab.join(peer));
    lab.actions();
    lab.join(1000);
    lab.join(7);
    assert_eq!(lab.actions(), []);
    lab.leave(7);
    lab.actions();
    lab.join(1000);
    assert!(lab.actions().contains(&Action::Unchoke { connection: 1000 }));
}
