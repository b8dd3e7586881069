//! How flows share links.

/// A flow that wants to send something now.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Demand {
    /// The node that sends.
    pub(crate) from: usize,
    /// The node that receives.
    pub(crate) to: usize,
    /// The bytes that it has to send.
    pub(crate) bytes: f64,
    /// The bytes that it can send. Set by [`Links::share`].
    pub(crate) granted: f64,
}

/// Each node's link, which sends and receives so many bytes in a step of the time.
#[derive(Debug)]
pub(crate) struct Links {
    up: Vec<Link>,
    down: Vec<Link>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Link {
    bytes: f64,
    left: f64,
    flows: u32,
    share: f64,
    is_bottleneck: bool,
}

impl Links {
    /// Links that send and receive so many bytes in a step.
    pub(crate) fn new(bytes: impl Iterator<Item = (f64, f64)>) -> Self {
        let link = |bytes| Link { bytes, ..Link::default() };
        let (up, down) = bytes.map(|(up, down)| (link(up), link(down))).unzip();
        Self { up, down }
    }

    /// Shares the links among the flows by max-min fairness: no flow could get more but from one that gets no more than it
    /// does.
    ///
    /// In each round every link offers equal shares of what is left to its flows. A flow that wants no more than both its links
    /// offer has what it wants. A link that offers none of its flows more than their other links do, or than they want, is
    /// their bottleneck, and they have what it offers. Offers only grow, so that this is final. The link that offers least is
    /// always such a one.
    pub(crate) fn share(&mut self, demands: &mut [Demand]) {
        for link in self.up.iter_mut().chain(&mut self.down) {
            (link.left, link.flows) = (link.bytes, 0);
        }
        for demand in &mut *demands {
            demand.granted = -1.0;
            self.up[demand.from].flows += 1;
            self.down[demand.to].flows += 1;
        }
        let mut open: Vec<usize> = (0..demands.len()).collect();
        while !open.is_empty() {
            for link in self.up.iter_mut().chain(&mut self.down) {
                link.share = link.left.max(0.0) / f64::from(link.flows);
                link.is_bottleneck = true;
            }
            for &index in &open {
                let Demand { from, to, bytes, .. } = demands[index];
                let (up, down) = (self.up[from].share, self.down[to].share);
                self.up[from].is_bottleneck &= up <= down && up <= bytes;
                self.down[to].is_bottleneck &= down <= up && down <= bytes;
            }
            open.retain(|&index| {
                let demand = &mut demands[index];
                let (up, down) = (&self.up[demand.from], &self.down[demand.to]);
                let offered = up.share.min(down.share);
                let is_final = demand.bytes <= offered || up.is_bottleneck || down.is_bottleneck;
                if is_final {
                    demand.granted = demand.bytes.min(offered);
                }
                !is_final
            });
            for link in self.up.iter_mut().chain(&mut self.down) {
                (link.left, link.flows) = (link.bytes, 0);
            }
            for demand in &*demands {
                let (up, down) = (&mut self.up[demand.from], &mut self.down[demand.to]);
                if demand.granted >= 0.0 {
                    up.left -= demand.granted;
                    down.left -= demand.granted;
                } else {
                    up.flows += 1;
                    down.flows += 1;
                }
            }
        }
    }
}

#[test]
fn links_are_shared_by_max_min_fairness() {
    let mut links = Links::new([(12.0, 100.0), (100.0, 5.0), (100.0, 100.0), (100.0, 100.0)].into_iter());
    let demand = |from, to, bytes| Demand { from, to, bytes, granted: 0.0 };
    // Three of the first: one is slowed down by the receiver's link, which it shares, and one wants little.
    let mut demands =
        [demand(0, 1, 50.0), demand(2, 1, 50.0), demand(0, 2, 1.0), demand(0, 3, 50.0), demand(2, 3, 200.0)];
    links.share(&mut demands);
    assert_eq!(demands.map(|demand| demand.granted), [2.5, 2.5, 1.0, 8.5, 91.5]);
}
