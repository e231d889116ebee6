//! Uploads as they come in: read as far as is published at once, published, held back while everything is full, answered.
//!
//! Invariant: an upload has one run under way, and is read no further until that has its places; what was read beyond it waits as bytes.

use super::super::Shard;
use super::super::input::ConnId;
use super::PublishResult;
use super::Session;
use super::http::Http;
use super::http::State;
use super::upload::Upload;
use crate::clock::Now;

impl Shard {
    /// Takes in what was read of an upload's body, publishes it, and answers when all is done. What is left of the input is the next request's, or
    /// waits: for what is under way, or for others to have their turn. False: it waits.
    pub(super) fn go_on_uploading(&mut self, id: ConnId, http: &mut Http, now: Now) -> bool {
        let State::Upload(mut upload) = http.take_state() else { unreachable!("it is one") };
        let drafted = upload.drafted();
        loop {
            if !self.has_time(id, self.intake.lack(Some(0), false)) {
                http.pause();
                break;
            }
            upload.read_on(http.input_mut(), &mut self.intake.ingest);
            if upload.may_publish() {
                self.intake.heard(upload.drafts_bytes());
                if let Some(results) = self.publish(id, upload.begin_run(), now) {
                    upload.take_results(&results, now);
                }
            }
            self.hold(id, &upload, now);
            if upload.is_over() {
                self.answer_upload(id, http, &upload, now);
                return true;
            }
            if upload.is_waiting() || http.input_mut().is_empty() {
                break;
            }
        }
        if upload.drafted() != drafted {
            // The timeout begins anew with each complete event.
            upload.begin_count();
            http.begin_count();
        }
        http.set_state(State::Upload(upload));
        false
    }

    fn answer_upload(&mut self, id: ConnId, http: &mut Http, upload: &Upload, now: Now) {
        if !upload.is_whole() {
            http.answers_last();
        }
        let response = upload.answer(self.shards.epoch());
        self.respond(id, http, &response, now);
    }

    /// Takes in the home shards' outcomes of an upload's drafts.
    pub(super) fn upload_published(
        &mut self,
        id: ConnId,
        mut http: Box<Http>,
        results: &[PublishResult],
        now: Now,
    ) {
        match http.take_state() {
            State::Awaiting(awaited) => {
                self.call_published(id, &mut http, *awaited, results, now);
            }
            State::Upload(mut upload) => {
                upload.take_results(results, now);
                self.hold(id, &upload, now);
                http.set_state(State::Upload(upload));
            }
            state => {
                http.set_state(state);
                return self.put_back(id, Session::Http(http));
            }
        }
        self.http_go_on(id, http, now);
    }

    /// Has an upload that found everything full try again soon.
    fn hold(&mut self, id: ConnId, upload: &Upload, now: Now) {
        if upload.is_held()
            && let Some(conn) = self.conns.conn_ref(id)
        {
            self.intake.retry_at(now.mono_ms + upload.retry_ms(), conn);
        }
    }

    /// Tries again with an upload that found everything full.
    pub(super) fn retry_upload(&mut self, id: ConnId, now: Now) {
        let Some(conn) = self.conns.find_mut(id) else { return };
        let mut http = match std::mem::replace(&mut conn.session, Session::Busy) {
            Session::Http(http) => http,
            session => return self.put_back(id, session),
        };
        if let State::Upload(upload) = http.state_mut()
            && let Some(drafts) = upload.retry()
        {
            if let Some(results) = self.publish(id, drafts, now) {
                upload.take_results(&results, now);
            }
            self.hold(id, upload, now);
        }
        self.http_go_on(id, http, now);
        self.conns.resume(id);
    }
}
