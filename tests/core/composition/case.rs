//! One case: a subscriber of some traits, whoever publishes to it, and what it must have been told in the end.

use std::collections::BTreeMap;

use serde_json::Value;
use serde_json::json;

use fanwire::limits::UNITS_SEND;
use fanwire::shard::Settings;

use super::form::Form;
use super::life::Kind;
use super::life::Life;
use super::life::Stage;
use super::life::check_rate;
use super::life::resolve_times;
use super::oracle;
use super::oracle::Fact;
use super::oracle::Said;
use super::oracle::Stretch;
use super::terms;
use super::terms::Rate;
use super::terms::Terms;
use super::terms::Test;
use super::traits::TRAITS;
use super::traits::Trait;
use crate::support;
use crate::support::client::Client;
use crate::support::client::Told;
use crate::support::random::Random;
use crate::support::world::World;
use crate::support::world::roomy;

const TOPICS: [&str; 3] = ["fleet/a", "fleet/b", "other"];
const KEYS: [&str; 4] = ["", "k1", "k2", "k3"];

/// Updates in one case: each leaves a place open, and the oracle tries them all.
const UPDATES_MAX: usize = 3;

/// A subscriber's life, and what is known of it.
pub(crate) struct Case {
    world: World,
    random: Random,
    traits: Vec<Trait>,
    publisher: Client,
    acked: usize,
    unacked: std::collections::VecDeque<(String, Fact)>,
    said: BTreeMap<String, u64>,
    count: u64,
    log: BTreeMap<String, Vec<Fact>>,
    client: Option<Client>,
    checked: usize,
    lives: Vec<Life>,
    updates: usize,
    resumes: usize,
    form: Form,
}

impl Case {
    /// The same seed is another case for each `shift`, so many numbers into its row.
    pub(crate) fn new(seed: u64, shift: u64) -> Self {
        let mut random = Random::new(seed);
        let pairs = TRAITS.len() * TRAITS.len();
        let pair = seed as usize % pairs;
        let mut traits = vec![TRAITS[pair / TRAITS.len()], TRAITS[pair % TRAITS.len()]];
        for one in TRAITS {
            if random.one_in(6) {
                traits.push(one);
            }
        }
        let is_slow = traits.contains(&Trait::SlowReader);
        let outbox_bytes_max = if is_slow { 1500 + random.below(6000) } else { 1 << 20 };
        let settings = Settings { outbox_bytes_max, ..roomy() };
        let shard_count = 1 + random.below(3);
        let mut world = World::new(shard_count as u16, &settings);
        let units = seed % 30 * UNITS_SEND;
        world.shards.iter_mut().for_each(|shard| shard.set_units(units));
        for _ in 0..shift {
            random.next();
        }
        let at = random.below(shard_count);
        let publisher = Client::connect(&mut world, at, 1 << 20, false);
        Self {
            world,
            random,
            traits,
            publisher,
            acked: 0,
            unacked: std::collections::VecDeque::new(),
            said: BTreeMap::new(),
            count: 0,
            log: BTreeMap::new(),
            client: None,
            checked: 0,
            lives: Vec::new(),
            updates: 0,
            resumes: 0,
            form: Form::of_round(seed as usize / pairs),
        }
    }

    fn has(&self, one: Trait) -> bool {
        self.traits.contains(&one)
    }

    fn draw_terms(&mut self, is_first: bool) -> Terms {
        let mut has = |one: Trait| {
            let has = self.traits.contains(&one);
            if is_first { has } else { has && self.random.one_in(2) }
        };
        let (filter, batch, fields) = (has(Trait::Filter), has(Trait::Batch), has(Trait::Fields));
        let (per_key, per_sub) = (has(Trait::RatePerKey), has(Trait::RatePerSubscription));
        let (leave, drop, latest) =
            (has(Trait::Leave), has(Trait::DropOldest), has(Trait::LatestPerKey));
        let random = &mut self.random;
        let per_key = if per_key && per_sub { random.one_in(2) } else { per_key };
        let drop = if drop && latest { random.one_in(2) } else { drop };
        Terms {
            filter: (filter || leave).then(|| Test::draw(random)),
            batch: batch.then(|| (2 + random.below(6) as u16, 1 + random.below(100) as u32)),
            in_columns: self.form.in_columns,
            slow: match (drop, latest) {
                (true, _) => "drop_oldest",
                (_, true) => "latest_per_key",
                _ => "disconnect",
            },
            rate: (per_key || per_sub)
                .then(|| Rate { per_key, every_ms: *random.pick(&[10, 50, 200]) }),
            fields: fields.then(|| {
                random.pick(&[vec!["alt"], vec!["n", "pos.x"], vec!["pos", "cs"]]).clone()
            }),
            leave,
        }
    }

    fn begin(&mut self) {
        let count = if self.has(Trait::Several) { 2 + self.random.below(2) } else { 1 };
        for index in 0..count {
            let terms = self.draw_terms(index == 0);
            let since = match () {
                () if self.has(Trait::Earliest) && self.random.below(3) > 0 => {
                    Some(json!("earliest"))
                }
                () if self.has(Trait::Last) && self.random.below(3) > 0 => Some(json!("last")),
                () if self.has(Trait::Time) => {
                    let wall_us = self.world.now.wall_us;
                    let back_us = self.random.below(300_000) as u64;
                    Some(json!({"time_us": wall_us - back_us}))
                }
                () => None,
            };
            self.lives.push(Life {
                id: ["x", "y", "z"][index],
                pattern: ["**", "fleet/*", "fleet/a", "other"][self.random.below(4)],
                since,
                terms,
                stretches: Vec::new(),
                position: BTreeMap::new(),
                live_us: None,
                is_live: false,
                skipped: 0,
                pending: Vec::new(),
            });
        }
        self.connect();
    }

    /// Connects, and says every subscription: anew, or from its position.
    fn connect(&mut self) {
        let shard = self.random.below(self.world.shards.len());
        let capacity = if self.has(Trait::SlowReader) { 400 } else { 1 << 20 };
        let deflate = self.has(Trait::Deflate);
        let client = Client::connect(&mut self.world, shard, capacity, deflate);
        self.checked = 0;
        for (index, life) in self.lives.iter_mut().enumerate() {
            if let Some(last) = life.pending.pop() {
                life.terms = last;
                life.pending.clear();
            }
            let mut message = json!({"type": "subscribe", "id": life.id, "topics": [life.pattern]});
            life.terms.say(&mut message, self.random.one_in(2), false);
            if self.form.is_compact(index) {
                message["compact"] = true.into();
            }
            let kind = match life.live_us {
                Some(time_us) => {
                    let position = life.position.clone();
                    message["since"] =
                        json!({"epoch": "e1", "offsets": position, "time_us": time_us});
                    if life.had_another_filter() {
                        message["since"]["filter_changed"] = true.into();
                    }
                    Kind::Resumed { position, time_us }
                }
                None => {
                    if let Some(since) = &life.since {
                        message["since"] = since.clone();
                    }
                    life.stretches.clear();
                    life.position.clear();
                    Kind::Begun { live: None }
                }
            };
            life.stretches.push(Stage::new(&life.terms, kind));
            life.is_live = false;
            life.skipped = 0;
            client.say(&mut self.world, &message);
        }
        self.client = Some(client);
    }

    fn update(&mut self) {
        let Some(client) = &self.client else { return };
        let index = self.random.below(self.lives.len());
        if self.updates >= UPDATES_MAX || !self.world.wants_input(client.wire) {
            return;
        }
        self.updates += 1;
        let terms = self.draw_terms(false);
        let mut message = json!({"type": "update", "id": self.lives[index].id});
        terms.say(&mut message, self.random.one_in(2), true);
        self.lives[index].pending.push(terms);
        let client = self.client.as_ref().expect("it was just there");
        client.say(&mut self.world, &message);
    }

    fn publish(&mut self) {
        if !self.world.wants_input(self.publisher.wire) {
            return;
        }
        let mut bytes = Vec::new();
        for _ in 0..1 + self.random.below(5) {
            self.count += 1;
            let topic = *self.random.pick(&TOPICS);
            let key = *self.random.pick(&KEYS);
            let is_delete = self.has(Trait::Delete) && !key.is_empty() && self.random.one_in(5);
            let op = match () {
                () if is_delete => "delete",
                () if key.is_empty() => "event",
                () => "upsert",
            };
            let payload = if is_delete && self.random.one_in(2) {
                json!({})
            } else {
                json!({
                    "n": self.count,
                    "alt": self.random.below(100),
                    "cs": format!("{}{}", self.random.pick(&["SWR", "EZY", "DLH"]), self.count),
                    "kind": self.random.pick(&["air", "sea"]),
                    "pos": {"x": self.count * 2, "y": 1},
                })
            };
            let message = json!({"type": "publish", "id": self.count, "topic": topic, "key": key,
                "op": op, "payload": payload});
            bytes.extend(support::frames::text(&message.to_string()));
            let (key, op) = (key.to_owned(), op.to_owned());
            *self.said.entry(topic.to_owned()).or_default() += 1;
            self.unacked.push_back((topic.to_owned(), Fact { key, op, time_us: 0, payload }));
        }
        self.world.say(self.publisher.wire, &bytes);
    }

    fn take_acks(&mut self) {
        self.publisher.read(&mut self.world, usize::MAX);
        for told in &self.publisher.told[self.acked..] {
            let Told::Other(message) = told else { continue };
            if message["type"] == "welcome" {
                continue;
            }
            assert_eq!(message["type"], "published", "{message}");
            let (topic, mut fact) = self.unacked.pop_front().expect("it was published");
            fact.time_us = message["time_us"].as_u64().unwrap();
            let log = self.log.entry(topic).or_default();
            log.push(fact);
            assert_eq!(message["offset"], log.len() as u64, "one publisher, in order");
        }
        self.acked = self.publisher.told.len();
    }

    fn read(&mut self, count: usize) -> usize {
        let Some(client) = &mut self.client else { return 0 };
        let took = client.read(&mut self.world, count);
        let told = client.told[self.checked..].to_vec();
        self.checked = client.told.len();
        for told in &told {
            self.note(told);
        }
        took
    }

    fn note(&mut self, told: &Told) {
        let now_ms = self.world.now.mono_ms;
        let of = |lives: &mut Vec<Life>, sub: &str| {
            lives.iter().position(|life| format!("\"{}\"", life.id) == sub).expect("it is ours")
        };
        match told {
            Told::Event(event) => {
                assert!(!event.subs.is_empty(), "an event is for someone: {event:?}");
                for sub in &event.subs {
                    let index = of(&mut self.lives, sub);
                    let life = &mut self.lives[index];
                    assert!(life.wants(&event.topic), "{} of {}", event.topic, life.pattern);
                    let (offset, op) = (event.offset, event.op.clone());
                    let read = (now_ms, event.key.clone(), offset, op == "leave");
                    life.stage().read.push((
                        read.0,
                        format!("{}\n{}", event.topic, read.1),
                        offset,
                        read.3,
                    ));
                    life.took(&event.topic, Said::Event { offset, op });
                }
                self.check_payload(event);
            }
            Told::Gap { subs, topic, from, to, reason } => {
                assert_eq!(reason, "slow", "history holds everything");
                for sub in subs {
                    let index = of(&mut self.lives, sub);
                    self.lives[index].took(topic, Said::Gap { from: *from, to: *to });
                }
            }
            Told::Skipped { subs, count } => {
                for sub in subs {
                    let index = of(&mut self.lives, sub);
                    self.lives[index].skipped += count;
                }
            }
            Told::Live { id, offsets, time_us } => {
                let said = self.said.clone();
                let index = of(&mut self.lives, id);
                let life = &mut self.lives[index];
                life.is_live = true;
                life.live_us.get_or_insert(*time_us);
                for (topic, offset) in offsets {
                    let position = life.position.entry(topic.clone()).or_insert(*offset);
                    *position = (*position).max(*offset);
                }
                for stage in &mut life.stretches {
                    if let Kind::Begun { live } = &mut stage.kind {
                        live.get_or_insert_with(|| (offsets.clone(), said.clone()));
                    }
                }
                let stage = life.stage();
                stage.live_at = stage.read.len();
            }
            Told::Other(message) => {
                assert_ne!(message["type"], "error", "{message}");
                if message["type"] == "updated" {
                    let index = of(&mut self.lives, &message["id"].to_string());
                    let life = &mut self.lives[index];
                    life.terms = life.pending.remove(0);
                    life.stretches.push(Stage::new(&life.terms, Kind::Updated));
                }
            }
            Told::Close(code) => assert_eq!(*code, Some(4008)),
        }
    }

    /// The payload is what the fields of some terms, that held or are about to, leave of it.
    fn check_payload(&mut self, event: &support::client::Seen) {
        self.take_acks();
        let log = self.log.get(&event.topic).map_or(&[][..], |log| log);
        // What is told before it is acknowledged is checked by its offset alone.
        let Some(fact) = log.get(event.offset as usize - 1) else { return };
        assert_eq!(event.key, fact.key);
        let told: Value = serde_json::from_str(&event.payload).unwrap();
        let mut choices: Vec<Vec<Option<&Vec<&'static str>>>> = vec![Vec::new()];
        for sub in &event.subs {
            let life = self.lives.iter().find(|life| format!("\"{}\"", life.id) == *sub).unwrap();
            let terms = std::iter::once(&life.terms).chain(&life.pending);
            let versions: Vec<_> = terms.map(|terms| terms.fields.as_ref()).collect();
            choices = choices
                .iter()
                .flat_map(|so_far| {
                    versions.iter().map(|version| [so_far.clone(), vec![*version]].concat())
                })
                .collect();
        }
        let is_right = choices.iter().any(|wanted| terms::project(wanted, &fact.payload) == told);
        assert!(is_right, "{told} is not what the fields leave of {}", fact.payload);
    }

    fn resume(&mut self) {
        self.resumes += 1;
        if let Some(client) = self.client.take() {
            self.world.vanish(client.wire);
        }
        self.connect();
    }

    pub(crate) fn step(&mut self) {
        let shards = self.world.shards.len();
        match self.random.below(100) {
            0..22 => self.publish(),
            22..45 => {
                let shard = self.random.below(shards);
                self.world.work(shard);
            }
            45..65 => {
                let (from, to) = (self.random.below(shards), self.random.below(shards));
                let count = 1 + self.random.below(20);
                self.world.deliver(from, to, count);
            }
            65..70 if self.client.is_none() => self.begin(),
            65..72 if self.has(Trait::Update) => self.update(),
            72..74 if self.has(Trait::Resume) && self.resumes < 3 && self.client.is_some() => {
                self.resume();
            }
            74..85 => self.world.settle(),
            85..90 if self.has(Trait::SlowReader) => {
                self.read(300);
            }
            _ => {
                let ms = self.random.below(40) as u64;
                self.world.advance(ms);
                if self.random.one_in(4) {
                    self.world.tick();
                }
            }
        }
        if !self.has(Trait::SlowReader) {
            self.read(usize::MAX);
        }
    }

    pub(crate) fn finish(&mut self) {
        if self.client.is_none() {
            self.begin();
        }
        for round in 0.. {
            assert!(round < 500, "the world does not come to rest");
            self.world.advance(50);
            self.world.tick();
            self.world.settle();
            self.take_acks();
            let is_quiet = self.read(usize::MAX) == 0;
            let client = self.client.as_ref().expect("it has begun");
            if !self.world.is_open(client.wire)
                || matches!(client.told.last(), Some(Told::Close(_)))
            {
                self.resume();
            } else if is_quiet && round > 12 && self.lives.iter().all(|life| life.is_live) {
                return;
            }
        }
    }

    pub(crate) fn check(&self) {
        for life in &self.lives {
            let mut missing = 0;
            for topic in TOPICS.iter().filter(|topic| life.wants(topic)) {
                let log = self.log.get(*topic).map_or(&[][..], |log| log);
                let look = |early_updates| {
                    let mut stretches = life.of_topic(topic, early_updates);
                    resolve_times(life, log, &mut stretches);
                    stretches
                };
                let stretches = look(0);
                let is_explained = |early| oracle::check(log, &look(early)).is_ok();
                if let Err(problem) = oracle::check(log, &stretches)
                    && !(1..=UPDATES_MAX).any(is_explained)
                {
                    panic!(
                        "{topic} for {}: {problem}\ntraits {:?}\nlog {}\n{stretches:#?}",
                        life.id,
                        self.traits,
                        log.iter()
                            .enumerate()
                            .map(|(i, f)| format!("\n{} {} {} {}", i + 1, f.key, f.op, f.payload))
                            .collect::<String>(),
                    );
                }
                let told: usize = stretches.iter().map(|stretch| stretch.said.len()).sum();
                missing += self.exact_count(life, log, &stretches).map_or(0, |all| all - told);
            }
            let is_exact = self.is_counted(life);
            if is_exact {
                assert_eq!(missing as u64, life.skipped, "passed over by {}", life.id);
            }
            if !self.has(Trait::SlowReader) {
                life.stretches.iter().for_each(|stage| check_rate(stage, &self.traits));
            }
        }
    }

    /// Whether what was passed over can be counted: it is all that may be missing, and where the stream began is known.
    fn is_counted(&self, life: &Life) -> bool {
        let [stage] = &life.stretches[..] else { return false };
        stage.terms.slow == "latest_per_key"
            && stage.terms.rate.is_none()
            && !stage.terms.leave
            && life.since == Some(json!("earliest"))
    }

    /// With a known beginning and no leaves: how many events pass.
    fn exact_count(&self, life: &Life, log: &[Fact], stretches: &[Stretch]) -> Option<usize> {
        self.is_counted(life)
            .then(|| log.iter().filter(|fact| stretches[0].terms.passes(&fact.payload)).count())
    }
}
