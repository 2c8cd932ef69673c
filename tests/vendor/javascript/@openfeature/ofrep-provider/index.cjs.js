'use strict';

Object.defineProperty(exports, '__esModule', { value: true });

var tslib = require('tslib');
var serverSdk = require('@openfeature/server-sdk');
var ofrepCore = require('@openfeature/ofrep-core');
var core = require('@openfeature/core');

class OFREPProvider {
    constructor(options) {
        this.options = options;
        this.notBefore = null;
        this.runsOn = 'server';
        this.metadata = {
            name: 'OpenFeature Remote Evaluation Protocol Server',
        };
        try {
            // Cannot use URL.canParse as it is only available from Node 19.x
            new URL(this.options.baseUrl);
        }
        catch (_a) {
            throw new Error(`The given OFREP URL "${this.options.baseUrl}" is not a valid URL.`);
        }
        this.ofrepApi = new ofrepCore.OFREPApi(options.baseUrl, options.fetchImplementation);
    }
    resolveBooleanEvaluation(flagKey, defaultValue, context) {
        return tslib.__awaiter(this, void 0, void 0, function* () {
            return this.evaluate(flagKey, defaultValue, context);
        });
    }
    resolveStringEvaluation(flagKey, defaultValue, context) {
        return tslib.__awaiter(this, void 0, void 0, function* () {
            return this.evaluate(flagKey, defaultValue, context);
        });
    }
    resolveNumberEvaluation(flagKey, defaultValue, context) {
        return tslib.__awaiter(this, void 0, void 0, function* () {
            return this.evaluate(flagKey, defaultValue, context);
        });
    }
    resolveObjectEvaluation(flagKey, defaultValue, context) {
        return tslib.__awaiter(this, void 0, void 0, function* () {
            return this.evaluate(flagKey, defaultValue, context);
        });
    }
    evaluate(flagKey, defaultValue, context) {
        return tslib.__awaiter(this, void 0, void 0, function* () {
            const currentDate = new Date();
            if (this.notBefore && this.notBefore > currentDate) {
                throw new core.GeneralError(`OFREP evaluation paused due to TooManyRequests until ${this.notBefore.toISOString()}`);
            }
            else if (this.notBefore) {
                this.notBefore = null;
            }
            try {
                const result = yield this.ofrepApi.postEvaluateFlags(flagKey, { context }, yield this.baseRequestOptions());
                return this.toResolutionDetails(result, defaultValue);
            }
            catch (error) {
                if (error instanceof ofrepCore.OFREPApiTooManyRequestsError) {
                    this.notBefore = error.retryAfterDate;
                }
                throw error;
            }
        });
    }
    toResolutionDetails(result, defaultValue) {
        if (result.httpStatus !== 200) {
            ofrepCore.handleEvaluationError(result);
        }
        if (typeof result.value.value !== typeof defaultValue) {
            throw new serverSdk.TypeMismatchError(`Expected flag type ${typeof defaultValue} but got ${typeof result.value.value}`);
        }
        return ofrepCore.toResolutionDetails(result.value);
    }
    baseRequestOptions() {
        return tslib.__awaiter(this, void 0, void 0, function* () {
            const _a = this.options, { headers, headersFactory } = _a, restOptions = tslib.__rest(_a, ["headers", "headersFactory"]);
            return Object.assign(Object.assign({}, ofrepCore.toRequestOptions(restOptions)), { headers: ofrepCore.mergeHeaders(headers, yield (headersFactory === null || headersFactory === void 0 ? void 0 : headersFactory())) });
        });
    }
}

exports.OFREPProvider = OFREPProvider;
